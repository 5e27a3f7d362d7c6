package cloud

import (
	"context"
	"time"
)

// Catalog answers what can be bought in the region, and for how much.
type Catalog interface {
	// Load answers one consistent picture. A source that does not answer in time is replaced by the last known or the
	// embedded facts and named in Degraded; an error means that nothing usable could be had.
	Load(ctx context.Context) (Snapshot, error)
}

// Snapshot is what Catalog.Load answers. Types are sorted by name, Offerings by key; each Offering's type is in Types.
type Snapshot struct {
	Types     []InstanceType
	Offerings []Offering
	Degraded  []Degradation
}

// Degradation says that a source of facts failed and what stands in for it.
type Degradation struct {
	Source  string // Pricing, SpotPriceHistory, InstanceTypes, ...
	Message string // what happened, what is used instead, and the remedy
}

// Templates turns what a user asks of machines into what a launch needs.
type Templates interface {
	// Resolve looks up images, subnets, security groups and the instance profile. A selector that matches nothing is a
	// *MisconfiguredError that names the field.
	Resolve(ctx context.Context, spec TemplateSpec) (Template, error)
	// Release removes what was made in the account for machines of this spec and is needed by none any more: an instance profile, launch
	// templates. No machine of it may be launched meanwhile. Asking again is harmless; *DeniedError if the rights for it are missing.
	Release(ctx context.Context, spec TemplateSpec) error
}

// Fleet launches and ends machines.
type Fleet interface {
	// Launch buys exactly one machine. It is idempotent in req.Token: asked again with the same token, also after a
	// crash or a lost reply, it answers the same machine. Errors: *StockoutError, *QuotaError, *MisconfiguredError,
	// *DeniedError, ErrThrottled, ErrTokenReused; any other error is an outage, and the launch may have happened.
	Launch(ctx context.Context, req LaunchRequest) (LaunchResult, error)
	// Terminate asks for the end of a machine. nil means the cloud accepted; asking again is harmless.
	// ErrGone: there is no such machine any more.
	Terminate(ctx context.Context, instanceID string) error
	// Instance answers one machine of this cluster by ID, also one that is shutting down. ErrTerminated (an ErrGone; a *TerminatedError
	// where the cloud says why): it has ended, and the cloud remembers it, which it does for an hour or so. Any other ErrGone: it is not there; a machine launched a moment
	// ago may be so for some seconds (eventual consistency).
	Instance(ctx context.Context, instanceID string) (Instance, error)
	// Instances answers every machine of this cluster that is not terminated, sorted by ID.
	Instances(ctx context.Context) ([]Instance, error)
}

// NoticeSource delivers notices at least once.
type NoticeSource interface {
	// Receive waits for notices, at most for the source's long poll (20 s), and answers none, one or several. A message
	// that cannot be read is a Notice of kind Unreadable: the caller counts it and calls Done.
	Receive(ctx context.Context) ([]Notice, error)
	// Done acknowledges a notice after it was handled; without it the notice comes again.
	Done(ctx context.Context, n Notice) error
}

// LaunchRequest asks for one machine.
type LaunchRequest struct {
	Token       string // UID of the claim; 1 to 64 characters
	Claim       string // name of the claim, for tags and the machine's Name
	Provisioner string
	Market      Market
	// Choices are the acceptable types and zones, best first, 1 to 60, all with the same GPU count.
	Choices  []Choice
	Template Template
	Node     NodeConfig
}

// Choice is an instance type and a zone that a launch may use.
type Choice struct {
	InstanceType string
	Architecture string // amd64, arm64: selects the image
	Zone         string
}

// NodeConfig is what a machine must register with as a Kubernetes node.
type NodeConfig struct {
	Labels  map[string]string
	Taints  []Taint
	Kubelet Kubelet
}

// Taint is a Kubernetes taint as plain strings.
type Taint struct{ Key, Value, Effect string }

// Kubelet holds the kubelet settings that change what a node offers; nil and empty mean the image's default.
type Kubelet struct {
	MaxPods                     *int32
	PodsPerCore                 *int32
	ClusterDNS                  []string
	SystemReserved              map[string]string
	KubeReserved                map[string]string
	EvictionHard                map[string]string
	EvictionSoft                map[string]string
	EvictionSoftGracePeriod     map[string]string // Go durations
	EvictionMaxPodGracePeriod   *int32            // seconds
	ImageGCHighThresholdPercent *int32
	ImageGCLowThresholdPercent  *int32
	CPUCFSQuota                 *bool
}

// LaunchResult is a successful launch, and the choices that were tried and had no capacity.
type LaunchResult struct {
	Instance  Instance
	Stockouts []OfferingKey
}

// InstanceState is EC2's word for the state of a machine.
type InstanceState string

// The states of a machine.
const (
	InstancePending      InstanceState = "pending"
	InstanceRunning      InstanceState = "running"
	InstanceShuttingDown InstanceState = "shutting-down"
	InstanceStopping     InstanceState = "stopping"
	InstanceStopped      InstanceState = "stopped"
	InstanceTerminated   InstanceState = "terminated"
)

// Instance is a machine that was launched for this cluster.
type Instance struct {
	ID         string // i-0123456789abcdef0
	ProviderID string // aws:///us-east-1a/i-0123456789abcdef0, as the Node's spec.providerID
	OfferingKey
	Token       string // the LaunchRequest's token: the claim's UID
	Claim       string
	Provisioner string
	State       InstanceState
	StateReason string // why it ends, in the cloud's own words; empty: it does not end, or the cloud does not say
	LaunchedAt  time.Time
	ImageID     string
}

// NoticeKind is what a notice announces.
type NoticeKind string

// The kinds of notice.
const (
	SpotInterruption NoticeKind = "SpotInterruption" // EC2 takes the machine at Deadline
	Rebalance        NoticeKind = "Rebalance"        // raised risk; no deadline
	StateChange      NoticeKind = "StateChange"      // the machine is stopping, stopped, shutting down or terminated
	ScheduledChange  NoticeKind = "ScheduledChange"  // maintenance or retirement, at Deadline if one is known
	Irrelevant       NoticeKind = "Irrelevant"       // well formed, but nothing to act on
	Unreadable       NoticeKind = "Unreadable"       // garbage; Detail says why
)

// Notice is a message that the cloud will take, or may take, a machine.
type Notice struct {
	ID         string // the message's own ID, for deduplication and logs
	Kind       NoticeKind
	InstanceID string        // empty for Irrelevant and Unreadable
	At         time.Time     // when the cloud said it
	Deadline   time.Time     // zero: none known
	State      InstanceState // StateChange only
	Detail     string
	Receipt    string // opaque to callers; Done needs it
}
