package demand

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Resources are amounts by resource name, as integers: cpu in milli-cores, memory and ephemeral-storage in MiB, whole GPUs
// (nvidia.com/gpu, amd.com/gpu) in milli-GPUs, anything else in its own unit. Absent means 0.
type Resources map[corev1.ResourceName]int64

// Demand is a number of identical pods that wait for a place.
type Demand struct {
	// Key is equal for pods that are alike in everything that decides a placement, and stable over restarts.
	Key      string
	Pods     []Pod // sorted by namespace, name, UID; at least one
	Requests Resources
	// Select says which nodes the pods accept.
	Select   Selection
	Priority int32
	// Neighbours is what the pods ask of the pods around them.
	Neighbours Neighbours `json:",omitzero"`
	// Unsupported, if not empty, names what the pods ask for that is not understood: the field and the remedy.
	Unsupported string `json:",omitempty"`
}

// Pod is one pod of a Demand.
type Pod struct {
	Namespace string
	Name      string
	UID       types.UID
	// Since is when the scheduler first found the pod unschedulable; zero if Moving.
	Since time.Time
	// Scheduler is what the pod's scheduler last said about it, for people.
	Scheduler string `json:",omitempty"`
	// Nominated is the node that Slipway has nominated for the pod, for its scheduler to try first. It holds no place by that: the pod
	// is a demand until it is bound.
	Nominated string `json:",omitempty"`
	// Moving: the pod still runs on a node that the cloud will take; its successor will need a place.
	Moving bool `json:",omitempty"`
}

// Selection is what a pod demands of a node's labels and taints.
type Selection struct {
	NodeSelector map[string]string    `json:",omitempty"`
	Required     *corev1.NodeSelector `json:",omitempty"`
	// Also are node selectors that must hold besides Required: where the pod's volumes are, or can be.
	Also        []corev1.NodeSelector            `json:",omitempty"`
	Preferred   []corev1.PreferredSchedulingTerm `json:",omitempty"` // heaviest first, ties in the pod's order
	Tolerations []corev1.Toleration              `json:",omitempty"`
}

// Daemon is a DaemonSet's pod as overhead of a node.
type Daemon struct {
	Namespace string
	Name      string
	Requests  Resources
	Select    Selection
	// Chosen are the selectors of demands that choose the pod, Apart its terms that choose a demand, Ports those of the host that it takes:
	// what plan.Node says of the pods on a node that is there.
	Chosen []SelectorKey `json:",omitempty"`
	Apart  []Term        `json:",omitempty"`
	Ports  []HostPort    `json:",omitempty"`
}
