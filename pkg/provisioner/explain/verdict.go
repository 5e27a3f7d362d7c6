package explain

import "github.com/slipway-sh/slipway/pkg/provisioner/demand"

// sentence is a verdict in words, and what helps if the pod should have been served; empty: nothing is wrong.
type sentence struct{ says, remedy string }

// sentences has one entry for each verdict of demand.Classify.
var sentences = map[demand.Verdict]sentence{
	demand.Ours:        {"it waits for a GPU, and its scheduler found no node for it", ""},
	demand.Finished:    {"it has ended", ""},
	demand.Terminating: {"it is being deleted", ""},
	demand.Static:      {"it is a static pod: the kubelet runs it from a file, and no scheduler sees it", ""},
	demand.DaemonOwned: {"it belongs to a DaemonSet, which wants it on one given node", "a new node gets the DaemonSet's pod by itself"},
	demand.NoGPU: {"it asks for no GPU, and Slipway launches nodes for GPU pods only",
		"ask for one in resources.limits (nvidia.com/gpu: 1), or leave the pod to another autoscaler"},
	demand.Bound: {"it has a node", ""},
	demand.Gated: {"a scheduling gate holds it back, so no scheduler looks at it",
		"whoever put spec.schedulingGates on it (a queue such as Kueue) takes them off when it is its turn"},
	demand.Nominated: {"its scheduler makes room for it on another node (status.nominatedNodeName)",
		"it is bound when the pods that it displaces are gone; Slipway looks at it again if it is not"},
	demand.NotJudged: {"its scheduler has not found it unschedulable yet",
		"see that the scheduler in spec.schedulerName runs; Slipway acts on its verdict (condition PodScheduled=False, Unschedulable)"},
}
