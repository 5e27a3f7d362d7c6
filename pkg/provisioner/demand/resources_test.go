package demand_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

type amounts = demand.Resources

func TestRequests(t *testing.T) {
	tests := map[string]struct {
		spec corev1.PodSpec
		want amounts
	}{
		"containers add up": {
			corev1.PodSpec{Containers: []corev1.Container{requests("cpu", "500m", "nvidia.com/gpu", "1"), requests("cpu", "1", "memory", "1Gi")}},
			amounts{"cpu": 1500, "memory": 1024, "nvidia.com/gpu": 1000, "pods": 1},
		},
		"an init container counts where it needs more": {
			corev1.PodSpec{
				InitContainers: []corev1.Container{requests("cpu", "4", "memory", "1Mi"), requests("cpu", "3")},
				Containers:     []corev1.Container{requests("cpu", "1", "memory", "2Mi")},
			},
			amounts{"cpu": 4000, "memory": 2, "pods": 1},
		},
		"a sidecar runs beside the containers and later init containers": {
			corev1.PodSpec{
				InitContainers: []corev1.Container{requests("cpu", "2"), sidecar("cpu", "1"), requests("cpu", "5")},
				Containers:     []corev1.Container{requests("cpu", "3", "nvidia.com/gpu", "2")},
			},
			amounts{"cpu": 6000, "nvidia.com/gpu": 2000, "pods": 1},
		},
		"overhead": {
			corev1.PodSpec{Containers: []corev1.Container{requests("cpu", "1")}, Overhead: list("cpu", "250m", "memory", "120Mi")},
			amounts{"cpu": 1250, "memory": 120, "pods": 1},
		},
		"pod-level resources stand instead of the containers'": {
			corev1.PodSpec{
				Containers: []corev1.Container{requests("cpu", "1", "nvidia.com/gpu", "1")},
				Resources:  &corev1.ResourceRequirements{Requests: list("cpu", "8", "memory", "2Gi")},
			},
			amounts{"cpu": 8000, "memory": 2048, "nvidia.com/gpu": 1000, "pods": 1},
		},
		"a pod-level limit without a request": {
			corev1.PodSpec{
				Containers: []corev1.Container{requests("cpu", "1", "nvidia.com/gpu", "1")},
				Resources:  &corev1.ResourceRequirements{Limits: list("cpu", "8", "memory", "2Gi")},
			},
			amounts{"cpu": 1000, "memory": 2048, "nvidia.com/gpu": 1000, "pods": 1},
		},
		"a pod-level limit above its request": {
			corev1.PodSpec{
				Containers: []corev1.Container{requests("nvidia.com/gpu", "1")},
				Resources:  &corev1.ResourceRequirements{Requests: list("cpu", "2"), Limits: list("cpu", "8", "memory", "2Gi")},
			},
			amounts{"cpu": 2000, "memory": 2048, "nvidia.com/gpu": 1000, "pods": 1},
		},
		"a limit without a request": {
			corev1.PodSpec{Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
				Requests: list("cpu", "1"), Limits: list("cpu", "2", "nvidia.com/gpu", "4")}}}},
			amounts{"cpu": 1000, "nvidia.com/gpu": 4000, "pods": 1},
		},
		"amounts are rounded up": {
			corev1.PodSpec{Containers: []corev1.Container{requests("cpu", "1u", "memory", "1", "ephemeral-storage", "1048577")}},
			amounts{"cpu": 1, "memory": 1, "ephemeral-storage": 2, "pods": 1},
		},
		"no sum wraps around": {
			corev1.PodSpec{Containers: []corev1.Container{requests("cpu", "8E", "memory", "8E", "nvidia.com/gpu", "8E"), requests("cpu", "8E", "memory", "8E")}},
			amounts{"cpu": demand.Ceiling, "memory": 1<<43 - 1, "nvidia.com/gpu": demand.Ceiling, "pods": 1},
		},
		"nothing": {corev1.PodSpec{Containers: []corev1.Container{{}}}, amounts{"pods": 1}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: tc.spec}
			before := pod.DeepCopy()
			if diff := cmp.Diff(tc.want, demand.Requests(pod)); diff != "" {
				t.Errorf("Requests (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, pod); diff != "" {
				t.Errorf("the pod was changed:\n%s", diff)
			}
		})
	}
}

// TestRequestsOnNode resizes a pod of 4 cores in place, as the kubelet's status shows it.
func TestRequestsOnNode(t *testing.T) {
	container := func(allocated, actual corev1.ResourceList) corev1.PodStatus {
		return corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
			{Name: "main", AllocatedResources: allocated, Resources: &corev1.ResourceRequirements{Requests: actual}}}}
	}
	pending := func(status corev1.PodStatus, reason string) corev1.PodStatus {
		status.Conditions = append(status.Conditions, corev1.PodCondition{Type: corev1.PodResizePending, Status: corev1.ConditionTrue, Reason: reason})
		return status
	}
	whole := corev1.PodStatus{AllocatedResources: list("cpu", "6"), Resources: &corev1.ResourceRequirements{Requests: list("cpu", "5")}}
	alone, podLevel := corev1.PodSpec{Containers: []corev1.Container{requests("cpu", "4")}}, corev1.PodSpec{
		Containers: []corev1.Container{requests("cpu", "1")}, Resources: &corev1.ResourceRequirements{Requests: list("cpu", "4")}}
	tests := map[string]struct {
		spec   corev1.PodSpec
		status corev1.PodStatus
		want   int64
	}{
		"just bound":                      {alone, corev1.PodStatus{}, 4000},
		"not resized":                     {alone, container(list("cpu", "4"), list("cpu", "4")), 4000},
		"to be smaller, not done yet":     {alone, container(list("cpu", "4"), list("cpu", "8")), 8000},
		"to be smaller, not promised yet": {alone, container(list("cpu", "8"), list("cpu", "8")), 8000},
		"to be larger, its node is full":  {alone, pending(container(list("cpu", "2"), list("cpu", "2")), corev1.PodReasonDeferred), 4000},
		"to be larger than its node":      {alone, pending(container(list("cpu", "2"), list("cpu", "2")), corev1.PodReasonInfeasible), 2000},
		"as a pod, to be smaller":         {podLevel, whole, 6000},
		"as a pod, larger than its node":  {podLevel, pending(whole, corev1.PodReasonInfeasible), 6000},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: tc.spec, Status: tc.status}
			if diff := cmp.Diff(amounts{"cpu": tc.want, "pods": 1}, demand.RequestsOnNode(pod)); diff != "" {
				t.Errorf("RequestsOnNode (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(amounts{"cpu": 4000, "pods": 1}, demand.Requests(pod)); diff != "" {
				t.Errorf("Requests, which read the spec alone (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFromListRounds(t *testing.T) {
	tests := map[string]struct {
		list     corev1.ResourceList
		up, down amounts
	}{
		"exact":           {list("cpu", "2", "memory", "3Mi", "pods", "29", "vpc.amazonaws.com/efa", "4"), amounts{"cpu": 2000, "memory": 3, "pods": 29, "vpc.amazonaws.com/efa": 4}, amounts{"cpu": 2000, "memory": 3, "pods": 29, "vpc.amazonaws.com/efa": 4}},
		"a bit more":      {list("cpu", "2000001u", "memory", "3145729"), amounts{"cpu": 2001, "memory": 4}, amounts{"cpu": 2000, "memory": 3}},
		"a bit less":      {list("cpu", "1999999u", "memory", "3145727999m"), amounts{"cpu": 2000, "memory": 3}, amounts{"cpu": 1999, "memory": 2}},
		"fraction of one": {list("pods", "1500m", "nvidia.com/gpu", "500m"), amounts{"pods": 2, "nvidia.com/gpu": 500}, amounts{"pods": 1, "nvidia.com/gpu": 500}},
		"0 is absent":     {list("cpu", "0", "nvidia.com/gpu", "0", "memory", "1"), amounts{"memory": 1}, amounts{}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.up, demand.FromList(tc.list, demand.RoundUp)); diff != "" {
				t.Errorf("up (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.down, demand.FromList(tc.list, demand.RoundDown)); diff != "" {
				t.Errorf("down (-want +got):\n%s", diff)
			}
		})
	}
}

func TestResourcesArithmetic(t *testing.T) {
	a, b := amounts{"cpu": 3, "memory": 5}, amounts{"cpu": 3, "pods": 1}
	if diff := cmp.Diff(amounts{"cpu": 6, "memory": 5, "pods": 1}, a.Add(b)); diff != "" {
		t.Error("Add", diff)
	}
	if diff := cmp.Diff(amounts{"memory": 5, "pods": -1}, a.Sub(b)); diff != "" {
		t.Error("Sub", diff)
	}
	if diff := cmp.Diff([]corev1.ResourceName{"cpu", "memory"}, amounts{"memory": 1, "cpu": 1, "pods": 0}.Names()); diff != "" {
		t.Error("Names", diff)
	}
	if diff := cmp.Diff(amounts{"cpu": 1}, amounts(nil).Add(amounts{"cpu": 1})); diff != "" {
		t.Error("Add to nil", diff)
	}
	for name, tc := range map[string]struct {
		asks, free amounts
		want       bool
	}{
		"exactly":                    {a, a, true},
		"too much":                   {amounts{"cpu": 4}, a, false},
		"absent":                     {amounts{"pods": 1}, a, false},
		"other things are overdrawn": {amounts{"cpu": 1}, amounts{"cpu": 1, "memory": -7}, true},
		"asks for none of those":     {amounts{"cpu": 1, "memory": 0}, amounts{"cpu": 1, "memory": -7}, true},
	} {
		if got := tc.asks.Fits(tc.free); got != tc.want {
			t.Errorf("%s: Fits = %v, want %v", name, got, tc.want)
		}
	}
}

// What the scheduler would refuse by exact amounts must not fit by rounded ones.
func TestRoundingNeverMakesFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]corev1.ResourceName{"cpu", "memory", "ephemeral-storage", "nvidia.com/gpu", "pods"}).Draw(t, "name")
		quantity := func(label string) resource.Quantity {
			scale := rapid.SampledFrom([]resource.Scale{resource.Nano, resource.Micro, resource.Milli, 0, resource.Kilo, resource.Exa}).Draw(t, label+" scale")
			q := *resource.NewScaledQuantity(rapid.Int64Range(0, 1<<40).Draw(t, label), scale)
			return resource.MustParse(q.String()) // as the API server would read it
		}
		ask, free := quantity("ask"), quantity("free")
		if ask.Sign() > 0 && rapid.Bool().Draw(t, "near") {
			free = ask.DeepCopy()
			free.Sub(*resource.NewScaledQuantity(rapid.Int64Range(0, 2).Draw(t, "less"), resource.Nano))
		}
		huge := resource.MustParse("30G") // beyond every Ceiling amounts are equal
		asks := demand.FromList(corev1.ResourceList{name: ask}, demand.RoundUp)
		has := demand.FromList(corev1.ResourceList{name: free}, demand.RoundDown)
		if ask.Sign() > 0 && free.Cmp(huge) < 0 && asks.Fits(has) && ask.Cmp(free) > 0 {
			t.Fatalf("%s: %s fits into %s", name, ask.String(), free.String())
		}
		if asks[name] < 0 || has[name] < 0 && free.Sign() >= 0 {
			t.Fatalf("%s: %s became %d, %s became %d", name, ask.String(), asks[name], free.String(), has[name])
		}
	})
}
