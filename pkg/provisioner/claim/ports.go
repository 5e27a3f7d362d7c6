package claim

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

// Fleet is what the claim asks of the cloud; the rules are those of cloud.Fleet, which satisfies it.
type Fleet interface {
	Launch(ctx context.Context, req cloud.LaunchRequest) (cloud.LaunchResult, error)
	Terminate(ctx context.Context, instanceID string) error
	Instance(ctx context.Context, instanceID string) (cloud.Instance, error)
	Instances(ctx context.Context) ([]cloud.Instance, error)
}

// Templates answers what an EC2NodeClass resolved to last. It does not block. An error means that the class is not ready, and says why.
type Templates interface {
	Template(nodeClass string) (cloud.Template, error)
}

// Catalog answers what is known of a type or an offering from memory; false: not known.
type Catalog interface {
	// Loaded is closed once anything is known. A leader that has just begun may see a claim before that.
	Loaded() <-chan struct{}
	Type(name string) (cloud.InstanceType, bool)
	Offering(key cloud.OfferingKey) (cloud.Offering, bool)
}

// Health is told what launches have met, so that planning avoids what does not work at the moment. It does not block. health.Book is
// one.
type Health interface {
	// Begin says that a launch which may take any of the keys is under way; End that it is over. token is the claim's UID.
	Begin(token string, keys []cloud.OfferingKey, now time.Time)
	End(token string)
	Launched(key cloud.OfferingKey, now time.Time)
	// Stockout: what was tried in vain on the way to a machine.
	Stockout(keys []cloud.OfferingKey, now time.Time)
	// Refused reports the error of a launch, whatever it is.
	Refused(err error, now time.Time)
}

// Progress is told how long each phase of a claim took. telemetry.Metrics is one.
type Progress interface {
	ClaimLaunched(took time.Duration)
	ClaimJoined(took time.Duration)
	ClaimReady(took time.Duration)
	ClaimDrained(took time.Duration)
	ClaimTerminated(reason v1alpha1.RetireReason, took time.Duration)
}

// Setbacks is told what went wrong. telemetry.Metrics is one.
type Setbacks interface {
	ClaimLaunchFailed(reason v1alpha1.Reason)
	ClaimNeverJoined(reason v1alpha1.Reason)
	ClaimNeverReady(reason v1alpha1.Reason)
	Evicted(outcome telemetry.EvictionOutcome)
	// FencedAfter: so long after the decision to obey a notice its node was fenced.
	FencedAfter(took time.Duration)
}

// Meter counts what happens to claims. It does not block.
type Meter interface {
	Progress
	Setbacks
}

// Nominator is told of a node that is to open, so that the schedulers of its pods know where they are expected when they see it open. It calls
// open within seconds, in a moment in which they do not try those pods, and answers open's error; or it answers false: other nodes come
// first. nominate.Nominator is one.
type Nominator interface {
	Opening(ctx context.Context, claim *v1alpha1.NodeClaim, node *corev1.Node, open func() error) (called bool, err error)
}

// Volumes answers which CSI driver a node must run before schedulers put one of the pods there, and does not run yet; empty: none.
// inventory.Volumes is one.
type Volumes interface {
	MissingDriver(ctx context.Context, node string, pods []v1alpha1.PodRef) (string, error)
}

// Events is where users learn what happened; the recorder of a manager (GetEventRecorder) is one.
type Events interface {
	Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any)
}
