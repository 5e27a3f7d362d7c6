package witness

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/cmd/fakeaws/wire"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// TestBound and TestMostGPUs: a check that can see nothing proves nothing.
func TestBound(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	pod := PodAsking("p", 1)
	on := pod.DeepCopy()
	on.Spec.NodeName = "n"
	over := on.DeepCopy()
	over.Status.Phase = corev1.PodFailed
	versions := []Version[*corev1.Pod]{{at, pod, false}, {at.Add(1), on, false}, {at.Add(2), over, false}, {at.Add(3), over, true}}
	if from, to := bound(versions, "n"); !from.Equal(at.Add(1)) || !to.Equal(at.Add(2)) {
		t.Errorf("bound from %s to %s", from, to)
	}
	if from, to := bound(versions[:2], "n"); from.IsZero() || !to.IsZero() {
		t.Errorf("still bound, from %s to %s", from, to)
	}
	if from, _ := bound(versions, "other"); !from.IsZero() {
		t.Errorf("bound to another node from %s", from)
	}
}

func TestMostGPUs(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tags := map[string]string{v1alpha1.LabelProvisioner: "p"}
	machines := []wire.Instance{
		{GPUs: 4, LaunchedAt: at, TerminatedAt: at.Add(10), ShuttingDownAt: at.Add(5), Tags: tags},
		{GPUs: 2, LaunchedAt: at.Add(6), Tags: tags}, // while the other is shutting down
		{GPUs: 8, LaunchedAt: at, Tags: map[string]string{v1alpha1.LabelProvisioner: "other"}},
	}
	if most, when := MostGPUs(machines, "p"); most != 6 || !when.Equal(at.Add(6)) {
		t.Errorf("%d GPUs at %s", most, when)
	}
}
