package demand

import (
	"cmp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// Daemons answers the DaemonSets as overhead of nodes, sorted by namespace and name: a node that their Select matches with
// Matcher(nil) will carry one pod of each. DaemonSets that are being deleted, or whose template names a node, put nothing on a new
// node and are left out. What admission adds to a pod later (a RuntimeClass's overhead, a LimitRange's defaults) is not seen.
func Daemons(daemonSets []*appsv1.DaemonSet) []Daemon {
	all := make([]Daemon, 0, len(daemonSets))
	for _, ds := range daemonSets {
		spec := &ds.Spec.Template.Spec
		if ds.DeletionTimestamp != nil || spec.NodeName != "" {
			continue
		}
		selection := SelectionOf(spec)
		selection.Preferred = nil // the DaemonSet controller does not look at it
		selection.Tolerations = tolerations(slices.Concat(spec.Tolerations, daemonTolerations(spec.HostNetwork)))
		all = append(all, Daemon{
			Namespace: ds.Namespace,
			Name:      ds.Name,
			Requests:  Requests(&corev1.Pod{Spec: *spec}),
			Select:    selection,
		})
	}
	slices.SortFunc(all, func(a, b Daemon) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
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
