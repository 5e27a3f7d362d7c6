package explain

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// State is what a pod waits for, in one word.
type State string

// The states of a pod.
const (
	NotOurs   State = "NotOurs"   // Verdict says why
	Undecided State = "Undecided" // ours, and nothing has been said about it yet
	Held      State = "Held"      // no node for it: Reason and Message say why
	Planned   State = "Planned"   // a node is launched or expected for it
	Bound     State = "Bound"     // it has its node
)

// Pod answers why a pod waits, or what is on its way for it. The names of fields are stable.
type Pod struct {
	Kind      string              `json:"kind"` // PodExplanation
	Namespace string              `json:"namespace"`
	Name      string              `json:"name"`
	UID       types.UID           `json:"uid"`
	Requests  corev1.ResourceList `json:"requests,omitempty"`
	State     State               `json:"state"`
	// Verdict says whether the pod is Slipway's business; Summary is that, or what is decided, in one sentence, and Remedy what helps.
	Verdict demand.Verdict `json:"verdict"`
	Summary string         `json:"summary"`
	Remedy  string         `json:"remedy,omitempty"`
	// Waiting since the scheduler found it unschedulable; Scheduler is what it says.
	Waiting   *time.Time `json:"waitingSince,omitempty"`
	Scheduler string     `json:"scheduler,omitempty"`
	// Reason and Message are those of the pod's condition and event, Decided when the former was written.
	Reason  v1alpha1.Reason `json:"reason,omitempty"`
	Message string          `json:"message,omitempty"`
	Decided *time.Time      `json:"decidedAt,omitempty"`
	// Offerings is how many there are to buy, Failed what they failed on, Misses what would have served the pod if something were otherwise;
	// a cluster tells the first two, a recorded View all.
	Offerings int                     `json:"offerings,omitempty"`
	Failed    map[v1alpha1.Reason]int `json:"failed,omitempty"`
	Misses    []Miss                  `json:"misses,omitempty"`
	// Node that it is bound to, or nominated for.
	Node string `json:"node,omitempty"`
	// Moving: EC2 takes its node, and a successor will need a place.
	Moving *Moving `json:"moving,omitempty"`
	// Claims that were made for it, the newest first.
	Claims []Claim `json:"claims,omitempty"`
	// Unknown is what could not be read, and which permission lacks.
	Unknown []string `json:"unknown,omitempty"`
}

// Moving is why a pod that runs will need another place.
type Moving struct {
	Node     string     `json:"node"`
	Message  string     `json:"message,omitempty"`
	Deadline *time.Time `json:"deadline,omitempty"`
}

// Miss is an offering that the pod would get if all changes were made.
type Miss struct {
	Provisioner  string   `json:"provisioner"`
	InstanceType string   `json:"instanceType"`
	Zone         string   `json:"zone"`
	Market       string   `json:"market"`
	PricePerHour string   `json:"pricePerHour"`
	Text         string   `json:"text"` // what stands behind "the pod would fit"
	Changes      []Change `json:"changes"`
}

// Change is one thing that would have to be otherwise.
type Change struct {
	Kind        string                          `json:"kind"` // RaiseLimit, Leave, AskLess, Reopen, Drop, Tolerate, Allow
	Text        string                          `json:"text"`
	Provisioner string                          `json:"provisioner,omitempty"`
	Resource    corev1.ResourceName             `json:"resource,omitempty"`
	Need        int64                           `json:"need,omitempty"` // micro-dollars, milli-cores, MiB, milli-GPUs of a pod, else units
	Have        int64                           `json:"have,omitempty"`
	Field       string                          `json:"field,omitempty"`
	Requirement *corev1.NodeSelectorRequirement `json:"requirement,omitempty"`
	Taint       *corev1.Taint                   `json:"taint,omitempty"`
	Claims      []string                        `json:"claims,omitempty"`
	Until       *time.Time                      `json:"until,omitempty"`
}

// Claim is a NodeClaim and how far it has come.
type Claim struct {
	Name         string `json:"name"`
	Provisioner  string `json:"provisioner"`
	InstanceType string `json:"instanceType"` // what was bought, before that its first choice
	Zone         string `json:"zone"`
	Market       string `json:"market"`
	PricePerHour string `json:"pricePerHour"`
	GPUs         int32  `json:"gpus"`
	InstanceID   string `json:"instanceID,omitempty"`
	Node         string `json:"node,omitempty"`
	Pods         int    `json:"pods"` // that it was made for
	Why          string `json:"why,omitempty"`
	// Phases in the order in which they come; what has not come yet has no time.
	Phases []Phase     `json:"phases"`
	Retire *Retirement `json:"retire,omitempty"`
}

// Phase is one step of a claim's life.
type Phase struct {
	Name string     `json:"name"` // Created, Launched, Joined, Ready, Fenced, Drained
	At   *time.Time `json:"at,omitempty"`
	// Reason and Message are what a phase that has not come yet waits for.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// Retirement is why a node goes, and by when.
type Retirement struct {
	Reason   v1alpha1.RetireReason `json:"reason"`
	Message  string                `json:"message,omitempty"`
	Since    *time.Time            `json:"since,omitempty"`
	Deadline *time.Time            `json:"deadline,omitempty"`
}

// Node answers why a node is the one it is, and what keeps it. The names of fields are stable.
type Node struct {
	Kind string `json:"kind"` // NodeExplanation
	Name string `json:"name"` // of the Node; empty: there is none yet, or none any more
	// Ours: Slipway launched it. Of nodes of others only Name, Pods and Summary are told.
	Ours    bool   `json:"ours"`
	Summary string `json:"summary"`
	Claim   *Claim `json:"claim,omitempty"`
	// Considered are the shapes that could have held its pods when it was bought, best first; Others counts the rest by what they failed on.
	Considered []v1alpha1.ConsideredShape `json:"considered,omitempty"`
	Others     map[v1alpha1.Reason]int32  `json:"others,omitempty"`
	// BoughtFor are the pods that it was bought for and where they are now, Pods those that are on it.
	BoughtFor []BoughtFor `json:"boughtFor,omitempty"`
	Pods      []NodePod   `json:"pods,omitempty"`
	// Limits of its Provisioner that it takes something of.
	Limits []LimitUse `json:"limits,omitempty"`
	// Stays says why it is not removed, one cause a line; empty: nothing keeps it.
	Stays   []string `json:"stays,omitempty"`
	Unknown []string `json:"unknown,omitempty"`
}

// BoughtFor is a pod that a node was bought for.
type BoughtFor struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Where     string `json:"where"` // here, waiting, gone, not recorded, or the name of another node
}

// NodePod is a pod on a node.
type NodePod struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	GPUs      int64  `json:"gpus"`
	// Keeps says why the node cannot go because of it; empty: it does not keep the node.
	Keeps string `json:"keeps,omitempty"`
}

// LimitUse is a limit that a claim is debited against.
type LimitUse struct {
	Resource corev1.ResourceName `json:"resource"`
	Takes    string              `json:"takes"`
	Used     string              `json:"used,omitempty"` // by all nodes of the Provisioner, this one included
	Limit    string              `json:"limit"`
}
