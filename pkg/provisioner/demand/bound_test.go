package demand_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

func TestUsesGPU(t *testing.T) {
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	ownedBy := func(kind string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Controller: new(true)}}
		}
	}
	leaving := func(graceEnds time.Time) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: graceEnds} }
	}
	phase := func(phase corev1.PodPhase) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Status.Phase = phase } }
	for name, tc := range map[string]struct {
		change      func(*corev1.Pod)
		leave, uses bool
	}{
		"running":             {phase(corev1.PodRunning), true, true},
		"of a ReplicaSet":     {ownedBy("ReplicaSet"), true, true},
		"without a GPU":       {func(p *corev1.Pod) { p.Spec.Containers = []corev1.Container{requests("cpu", "1")} }, true, false},
		"succeeded":           {phase(corev1.PodSucceeded), false, false},
		"failed":              {phase(corev1.PodFailed), false, false},
		"of a DaemonSet":      {ownedBy("DaemonSet"), false, false},
		"of the node":         {ownedBy("Node"), false, false},
		"a mirror":            {func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} }, false, false},
		"in its grace":        {leaving(now.Add(time.Second)), true, true},
		"grace just over":     {leaving(now.Add(-time.Minute)), true, true},
		"its kubelet is dead": {leaving(now.Add(-time.Minute - time.Second)), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := &corev1.Pod{Spec: corev1.PodSpec{NodeName: "n", Containers: []corev1.Container{requests("nvidia.com/gpu", "1")}}}
			tc.change(p)
			if leave, uses := demand.HasToLeave(p, now), demand.UsesGPU(p, now); leave != tc.leave || uses != tc.uses {
				t.Errorf("has to leave %v, uses a GPU %v; want %v, %v", leave, uses, tc.leave, tc.uses)
			}
		})
	}
}
