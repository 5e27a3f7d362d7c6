package simulate

import (
	"context"

	corev1 "k8s.io/api/core/v1"
)

// overlay reads of a live cluster what manifests laid over it refer to: the classes that its API server would resolve, and the pods that
// their workloads have there already.
func (g *gathering) overlay(ctx context.Context, admit *admission) error {
	if g.Live == nil || len(g.Manifests) == 0 {
		return nil
	}
	if err := admit.live(ctx, g.Live); err != nil {
		return err
	}
	var pods corev1.PodList
	if err := g.Live.List(ctx, &pods); err != nil {
		return reading("Pod", err)
	}
	g.running = map[string]map[string]bool{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodFailed {
			continue // its controller replaces it
		}
		owner := ownerOf(pod)
		if g.running[owner] == nil {
			g.running[owner] = map[string]bool{}
		}
		g.running[owner][pod.Name] = true
	}
	return nil
}

// lacking answers the pods of a workload that the live cluster does not have yet: what is left of them when those of the same name are
// taken away and then, for pods whose names are drawn, as many as there are others.
func (g *gathering) lacking(workload string, pods []*corev1.Pod) []*corev1.Pod {
	there := g.running[workload]
	if len(there) == 0 {
		return pods
	}
	lack, others := pods[:0:0], len(there)
	for _, pod := range pods {
		if there[pod.Name] {
			others--
		} else {
			lack = append(lack, pod)
		}
	}
	lack = lack[min(others, len(lack)):]
	g.assume("%s has %d pods in the cluster, which stay as they are; %d are added", workload, len(there), len(lack))
	return lack
}
