package plan

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// TestAllocatable works out by hand what a g4dn.xlarge leaves to pods: 4 cores, 16 GiB, 3 interfaces of 10 addresses, one GPU.
func TestAllocatable(t *testing.T) {
	few, many, perCore := int32(8), int32(110), int32(10)
	const visible = 16384 * 925 / 1000
	tests := map[string]struct {
		kubelet *v1alpha1.Kubelet
		rootGiB int64
		nvme    bool
		want    demand.Resources // those that matter
	}{
		"an address of an interface for each pod": {nil, 100, false, demand.Resources{"pods": 3*9 + 2, "cpu": 4000 - 80, "memory": visible - (11*29 + 255) - 100,
			"ephemeral-storage": 100<<10 - 1<<10 - 10<<10, v1alpha1.ResourceGPU: 1000}},
		"prefixes for pods, as the user says":      {&v1alpha1.Kubelet{MaxPods: &many}, 100, false, demand.Resources{"pods": 110, "memory": visible - (11*110 + 255) - 100}},
		"fewer pods":                               {&v1alpha1.Kubelet{MaxPods: &few}, 100, false, demand.Resources{"pods": 8, "memory": visible - (11*8 + 255) - 100}},
		"pods per core":                            {&v1alpha1.Kubelet{MaxPods: &many, PodsPerCore: &perCore}, 100, false, demand.Resources{"pods": 40}},
		"pods per core are no more than there are": {&v1alpha1.Kubelet{MaxPods: &few, PodsPerCore: &perCore}, 100, false, demand.Resources{"pods": 8}},
		"a small root volume":                      {nil, 20, false, demand.Resources{"ephemeral-storage": 20<<10 - 1<<10 - 2<<10}},
		"no root volume to speak of":               {nil, 1, false, demand.Resources{"ephemeral-storage": 0}},
		"reserved for the kubelet and the system": {&v1alpha1.Kubelet{KubeReserved: map[string]string{"cpu": "1", "memory": "1Gi"},
			SystemReserved: map[string]string{"cpu": "500m", "memory": "512Mi", "ephemeral-storage": "9Gi"}}, 100, false,
			demand.Resources{"cpu": 2500, "memory": visible - 1536 - 100, "ephemeral-storage": 100<<10 - 10<<10 - 10<<10}},
		"eviction": {&v1alpha1.Kubelet{EvictionHard: map[string]string{"memory.available": "10%", "nodefs.available": "5Gi"}}, 100, false,
			demand.Resources{"memory": visible - (11*29 + 255) - visible/10, "ephemeral-storage": 100<<10 - 1<<10 - 5<<10}},
		"the type's own disks, 125 GB, instead of it": {nil, 20, true, demand.Resources{"ephemeral-storage": 119209 - 1<<10 - 11920}},
	}
	kind, known := catalogue.Embedded().Type("g4dn.xlarge")
	if !known {
		t.Fatal("the catalogue does not know g4dn.xlarge")
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			all, got := Allocatable(kind, tc.kubelet, Disk{RootVolumeGiB: tc.rootGiB, InstanceStore: tc.nvme}), demand.Resources{}
			for name := range tc.want {
				got[name] = all[name]
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("Allocatable (-want +got):\n%s", diff)
			}
		})
	}
	large, _ := catalogue.Embedded().Type("p3dn.24xlarge")
	if got := Allocatable(large, nil, Disk{RootVolumeGiB: 100})[v1alpha1.ResourceEFA]; got != int64(large.EFAInterfaces) || got == 0 {
		t.Errorf("p3dn.24xlarge has %d EFA interfaces, want %d and some", got, large.EFAInterfaces)
	}
	without, _ := catalogue.Embedded().Type("p3.2xlarge")
	if got := Allocatable(without, nil, Disk{RootVolumeGiB: 100, InstanceStore: true})[corev1.ResourceEphemeralStorage]; got != 100<<10-1<<10-10<<10 {
		t.Errorf("p3.2xlarge has no disks of its own, and %d MiB of them", got)
	}
	if _, has := Allocatable(kind, nil, Disk{RootVolumeGiB: 100})[corev1.ResourceName("amd.com/gpu")]; has {
		t.Error("g4dn.xlarge has an AMD GPU")
	}
}

// TestLimitAmount: what is written to mean no limit at all means that, however large.
func TestLimitAmount(t *testing.T) {
	for text, want := range map[string][4]int64{ // of dollars, cores, bytes and GPUs
		"1":     {1_000_000, 1000, 0, 1},
		"1500m": {1_500_000, 1500, 0, 1},
		"3Mi":   {3 << 20 * 1_000_000, 3 << 20 * 1000, 3, 3 << 20},
		"1e12":  {1e18, 1e15, 953_674, 1e12},
		"1e13":  {mostAmount, 1e16, 9_536_743, 1e13},
		"1e16":  {mostAmount, mostAmount, 9_536_743_164, 1e16},
		"1Ei":   {mostAmount, mostAmount, mostAmount, mostAmount},
		"1e30":  {mostAmount, mostAmount, mostAmount, mostAmount},
	} {
		for i, name := range []corev1.ResourceName{v1alpha1.LimitCostPerHour, corev1.ResourceCPU, corev1.ResourceMemory, v1alpha1.LimitGPU} {
			if got := limitAmount(name, resource.MustParse(text)); got != want[i] {
				t.Errorf("a limit of %s %s is %d, want %d", text, name, got, want[i])
			}
		}
	}
}
