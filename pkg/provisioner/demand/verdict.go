package demand

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// Verdict says whether a pod is Slipway's business, and if not, why.
type Verdict string

// The verdicts, in the order in which they are looked for: what will never change comes first.
const (
	// Ours: it waits for a GPU, and its scheduler found no node for it.
	Ours Verdict = "Ours"

	Finished    Verdict = "Finished"    // it has succeeded or failed
	Terminating Verdict = "Terminating" // it is being deleted
	Static      Verdict = "Static"      // the kubelet runs it from a file; no scheduler sees it
	DaemonOwned Verdict = "DaemonSet"   // its DaemonSet wants it on one given node
	NoGPU       Verdict = "NoGPU"       // it asks for no GPU: a CPU-only pod never opens a GPU node
	Bound       Verdict = "Bound"       // it has a node
	Gated       Verdict = "Gated"       // a scheduling gate holds it back
	Nominated   Verdict = "Nominated"   // others make room for it on status.nominatedNodeName, or somebody else expects it there
	NotJudged   Verdict = "NotJudged"   // its scheduler has not found it unschedulable (yet)
)

// Classify answers whether the pod is ours. It does not look at what the pod demands beyond a GPU: see Demand.Unsupported.
func Classify(pod *corev1.Pod) Verdict {
	if v := lasting(pod); v != Ours {
		return v
	}
	switch {
	case pod.Spec.NodeName != "":
		return Bound
	case len(pod.Spec.SchedulingGates) > 0:
		return Gated
	case Expected(pod) != "":
		return Ours // it was when Slipway nominated it, and is until it is bound
	case pod.Status.NominatedNodeName != "":
		return Nominated
	}
	switch c := scheduled(pod); {
	case c == nil || c.Status != corev1.ConditionFalse:
		return NotJudged
	case c.Reason == corev1.PodReasonSchedulingGated:
		return Gated
	case c.Reason != corev1.PodReasonUnschedulable:
		return NotJudged
	}
	return Ours
}

// Expected answers the node that Slipway has nominated for the pod; empty if it has not, or if another nomination has replaced it.
func Expected(pod *corev1.Pod) string {
	if name := pod.Status.NominatedNodeName; pod.Spec.NodeName == "" && name == Marked(pod) {
		return name
	}
	return ""
}

// Marked answers the node that Slipway has last nominated for the pod, whatever has become of that; empty: it never has, or has taken it back.
func Marked(pod *corev1.Pod) string {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == v1alpha1.PodNominated && c.Status == corev1.ConditionTrue {
			return c.Message
		}
	}
	return ""
}

// LastJudged answers what the pod's scheduler last said about it; a scheduler that tries again mostly says something else, as the cluster
// has changed. Empty: nothing yet.
func LastJudged(pod *corev1.Pod) string {
	if c := scheduled(pod); c != nil {
		return c.Message
	}
	return ""
}

// lasting answers the verdicts that hold wherever the pod is; Ours if there is none.
func lasting(pod *corev1.Pod) Verdict {
	switch {
	case pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed:
		return Finished
	case pod.DeletionTimestamp != nil:
		return Terminating
	}
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return Static
	}
	switch owner := metav1.GetControllerOfNoCopy(pod); {
	case owner != nil && owner.Kind == "Node":
		return Static
	case owner != nil && owner.Kind == "DaemonSet":
		return DaemonOwned
	case !AsksForGPU(pod):
		return NoGPU
	}
	return Ours
}

// AsksForGPU tells whether the pod asks for a GPU in any form: whole, a MIG slice, shared, or by dynamic resource allocation, where each
// claim and each device class counts: a pod does not show what devices they stand for.
func AsksForGPU(pod *corev1.Pod) bool {
	return len(pod.Spec.ResourceClaims) > 0 || askForGPU(pod.Spec.Containers) || askForGPU(pod.Spec.InitContainers)
}

func askForGPU(containers []corev1.Container) bool {
	for i := range containers { // not by value: a container is large
		if r := &containers[i].Resources; hasGPU(r.Requests) || hasGPU(r.Limits) {
			return true
		}
	}
	return false
}

func hasGPU(list corev1.ResourceList) bool {
	if q := list[v1alpha1.ResourceGPU]; q.Sign() > 0 {
		return true // mostly, and a look-up is cheaper than to go through a map
	}
	for name, q := range list {
		if (wholeGPU(name) || partialGPU(name) || ofDeviceClass(name)) && q.Sign() > 0 {
			return true
		}
	}
	return false
}

func wholeGPU(name corev1.ResourceName) bool {
	return name == v1alpha1.ResourceGPU || name == v1alpha1.ResourceAMDGPU
}

func partialGPU(name corev1.ResourceName) bool {
	return name == v1alpha1.ResourceSharedGPU || strings.HasPrefix(string(name), v1alpha1.ResourceMIGPrefix)
}

// ofDeviceClass tells whether a resource is a request for a device of the class that its name ends in (DRAExtendedResource). A class may also
// give its devices a resource name of its own choice (spec.extendedResourceName): that is like any other extended resource here.
func ofDeviceClass(name corev1.ResourceName) bool {
	return strings.HasPrefix(string(name), resourcev1.ResourceDeviceClassPrefix)
}

// scheduled answers the pod's PodScheduled condition, nil if it has none.
func scheduled(pod *corev1.Pod) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodScheduled {
			return c
		}
	}
	return nil
}
