package machine_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/slipway-sh/slipway/cmd/fakeaws/machine"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
)

func TestResources(t *testing.T) {
	facts := catalogue.Embedded()
	small, _ := facts.Type("g4dn.xlarge")
	large, _ := facts.Type("p3.16xlarge")
	for name, tc := range map[string]struct {
		of                        cloud.InstanceType
		kubelet                   cloud.Kubelet
		cpuMilli, memoryMiB, pods int64
	}{
		"g4dn.xlarge, as its users see it": {of: small, cpuMilli: 3920, memoryMiB: 14481, pods: 29},
		"p3.16xlarge":                      {of: large, cpuMilli: 63770, memoryMiB: 462233 - (11*234 + 255) - 100, pods: 234},
		"fewer pods reserve less":          {of: small, kubelet: cloud.Kubelet{MaxPods: ptr.To(int32(10))}, cpuMilli: 3920, memoryMiB: 14690, pods: 10},
		"pods by core":                     {of: small, kubelet: cloud.Kubelet{PodsPerCore: ptr.To(int32(2))}, cpuMilli: 3920, memoryMiB: 14712, pods: 8},
		"what is said replaces the default": {of: small, kubelet: cloud.Kubelet{KubeReserved: map[string]string{"cpu": "1", "pid": "100"},
			SystemReserved: map[string]string{"memory": "1Gi"}, EvictionHard: map[string]string{"memory.available": "10%"}},
			cpuMilli: 3000, memoryMiB: 15155 - 574 - 1024 - 1516, pods: 29},
	} {
		t.Run(name, func(t *testing.T) {
			_, got, err := machine.Resources(tc.of, tc.kubelet, 100<<30)
			if err != nil {
				t.Fatal(err)
			}
			if cpu, memory, pods := got.Cpu().MilliValue(), got.Memory().Value()>>20, got.Pods().Value(); cpu != tc.cpuMilli || memory != tc.memoryMiB || pods != tc.pods {
				t.Errorf("allocatable %dm CPU, %d MiB, %d pods; want %dm, %d, %d", cpu, memory, pods, tc.cpuMilli, tc.memoryMiB, tc.pods)
			}
			if disk := got[corev1.ResourceEphemeralStorage]; disk.Value() != 89<<30 {
				t.Errorf("allocatable disk %s; want 89Gi: 100 less 10 %% and 1", disk.String())
			}
		})
	}
	if _, _, err := machine.Resources(small, cloud.Kubelet{KubeReserved: map[string]string{"memory": "1Ti"}}, 0); err == nil {
		t.Error("more memory than there is was reserved")
	}
}
