package demand

import corev1 "k8s.io/api/core/v1"

// Class is what a pod asks of a node by itself, which is what it has in common with those that come after it. What it prefers, its
// priority and its volumes are no part of it.
type Class struct {
	Key      string // equal for equal classes, and stable over restarts
	Requests Resources
	Select   Selection // required only
}

// ClassOf answers the class of a pod, waiting or bound. It answers false for a pod that a node is never launched for, and for one of which
// nobody can say what room its successors will need: it asks for what is not understood, for ports of the host, or to be near or away
// from other pods.
func ClassOf(pod *corev1.Pod) (Class, bool) {
	spec := &pod.Spec
	if lasting(pod) != Ours || unsupported(pod) != "" || len(hostPorts(spec)) > 0 {
		return Class{}, false
	}
	if a := spec.Affinity; a != nil && (a.PodAffinity != nil && len(a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0 ||
		a.PodAntiAffinity != nil && len(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution) > 0) {
		return Class{}, false
	}
	c := Class{Requests: Requests(pod), Select: SelectionOf(spec)}
	c.Select.Preferred = nil
	if invalid(&c.Select) != "" {
		return Class{}, false
	}
	c.Key = encoding(nil).text("class/1").amountsOf(c.Requests).selection(&c.Select).key()
	return c, true
}
