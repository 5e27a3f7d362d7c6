package demand

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// templates answers the pods of those DaemonSets that put one on a new node, by namespace and name: of those that are not being deleted
// and whose template names no node. What admission adds to a pod later (a RuntimeClass's overhead, a LimitRange's defaults) is not seen
// before the first node of a shape is open; then it is learned what such a node leaves to pods.
func templates(sets []*appsv1.DaemonSet) []*corev1.Pod {
	pods := make([]*corev1.Pod, 0, len(sets))
	for _, ds := range sets {
		if t := &ds.Spec.Template; ds.DeletionTimestamp == nil && t.Spec.NodeName == "" {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ds.Namespace, Name: ds.Name, Labels: t.Labels}, Spec: t.Spec}
			pods = append(pods, pod)
		}
	}
	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return pods
}

// Daemons answers the DaemonSets as overhead of nodes, sorted by namespace and name: a node that their Select matches with
// Matcher() will carry one pod of each.
func (n *Neighbourhood) Daemons() []Daemon {
	all := make([]Daemon, 0, len(n.daemons))
	for _, pod := range n.daemons {
		selection := SelectionOf(&pod.Spec)
		selection.Preferred = nil // the DaemonSet controller does not look at it
		selection.Tolerations = tolerations(slices.Concat(pod.Spec.Tolerations, daemonTolerations(pod.Spec.HostNetwork)))
		c := n.Company("", []*corev1.Pod{pod})
		all = append(all, Daemon{
			Namespace: pod.Namespace, Name: pod.Name, Requests: Requests(pod), Select: selection,
			Chosen: slices.Sorted(maps.Keys(c.Chosen)), Apart: c.Apart, Ports: c.Ports,
		})
	}
	return all
}

// daemonTolerations are those that the DaemonSet controller gives its pods. They are why a DaemonSet's pods come onto a node that
// is closed for all others by spec.unschedulable.
func daemonTolerations(hostNetwork bool) []corev1.Toleration {
	exists := func(key string, effect corev1.TaintEffect) corev1.Toleration {
		return corev1.Toleration{Key: key, Operator: corev1.TolerationOpExists, Effect: effect}
	}
	all := []corev1.Toleration{
		exists(corev1.TaintNodeNotReady, corev1.TaintEffectNoExecute),
		exists(corev1.TaintNodeUnreachable, corev1.TaintEffectNoExecute),
		exists(corev1.TaintNodeDiskPressure, corev1.TaintEffectNoSchedule),
		exists(corev1.TaintNodeMemoryPressure, corev1.TaintEffectNoSchedule),
		exists(corev1.TaintNodePIDPressure, corev1.TaintEffectNoSchedule),
		exists(corev1.TaintNodeUnschedulable, corev1.TaintEffectNoSchedule),
	}
	if hostNetwork {
		all = append(all, exists(corev1.TaintNodeNetworkUnavailable, corev1.TaintEffectNoSchedule))
	}
	return all
}
