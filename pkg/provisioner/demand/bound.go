package demand

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// lostAfter is how long after the end of its grace a pod is still waited for. The kubelet is dead then, or cut off, and nobody will
// ever report the pod's end.
const lostAfter = time.Minute

// HasToLeave tells whether a pod that is bound to a node has to leave before the node can go: not if it came with the node (a
// DaemonSet's, a static one), has ended, or will never be heard of again.
func HasToLeave(pod *corev1.Pod, now time.Time) bool {
	if pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return false
	}
	if _, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]; mirror {
		return false
	}
	if owner := metav1.GetControllerOfNoCopy(pod); owner != nil && (owner.Kind == "DaemonSet" || owner.Kind == "Node") {
		return false
	}
	// A deletion timestamp is the end of the grace.
	return pod.DeletionTimestamp == nil || now.Sub(pod.DeletionTimestamp.Time) <= lostAfter
}

// UsesGPU tells whether a pod that is bound to a node keeps it from being idle: it asks for a GPU and has to leave before the node can go.
func UsesGPU(pod *corev1.Pod, now time.Time) bool { return AsksForGPU(pod) && HasToLeave(pod, now) }
