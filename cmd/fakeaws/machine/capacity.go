package machine

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

const (
	mebibyte = int64(1) << 20
	// usableMemoryPermille is what a virtual machine sees of its nominal memory: firmware and hypervisor keep the rest.
	usableMemoryPermille = 925
	defaultDiskGiB       = 20
)

// Pods is how many pods a kubelet allows: one address of each network interface is the interface's own, and two pods share
// the host's; settings of the user data come before that.
func Pods(t cloud.InstanceType, k cloud.Kubelet) int64 {
	pods := int64(t.MaxENIs)*int64(t.IPv4PerENI-1) + 2
	if t.MaxENIs == 0 {
		pods = 110 // the kubelet's own default
	}
	if k.MaxPods != nil {
		pods = int64(*k.MaxPods)
	}
	if k.PodsPerCore != nil && *k.PodsPerCore > 0 {
		pods = min(pods, int64(*k.PodsPerCore)*int64(t.VCPUs))
	}
	return pods
}

// Resources answers a machine's capacity and allocatable resources as its kubelet reports them, without its GPUs. disk is the size in bytes of what
// the kubelet's files are on; 0: the image's own.
func Resources(t cloud.InstanceType, k cloud.Kubelet, disk int64) (capacity, allocatable corev1.ResourceList, err error) {
	if disk == 0 {
		disk = defaultDiskGiB << 30
	}
	pods := Pods(t, k)
	memory := t.MemoryMiB * usableMemoryPermille / 1000 * mebibyte
	capacity = corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewQuantity(int64(t.VCPUs), resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity(memory, resource.BinarySI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(disk, resource.BinarySI),
		corev1.ResourcePods:             *resource.NewQuantity(pods, resource.DecimalSI),
	}
	reserved, err := reservations(t, k, pods, capacity)
	if err != nil {
		return nil, nil, err
	}
	allocatable = capacity.DeepCopy()
	for _, list := range reserved {
		for name, quantity := range list {
			left := allocatable[name]
			left.Sub(quantity)
			if left.Sign() < 0 {
				return nil, nil, fmt.Errorf("the kubelet does not start: more %s is reserved than there is", name)
			}
			allocatable[name] = left
		}
	}
	return capacity, allocatable, nil
}

// reservations answers what kube, system and eviction keep from pods. What the user data says replaces the image's
// defaults, resource by resource.
func reservations(t cloud.InstanceType, k cloud.Kubelet, pods int64, capacity corev1.ResourceList) ([]corev1.ResourceList, error) {
	kube := corev1.ResourceList{
		corev1.ResourceCPU:              *resource.NewMilliQuantity(kubeCPUMilli(int64(t.VCPUs)), resource.DecimalSI),
		corev1.ResourceMemory:           *resource.NewQuantity((11*pods+255)*mebibyte, resource.BinarySI),
		corev1.ResourceEphemeralStorage: *resource.NewQuantity(1<<30, resource.BinarySI),
	}
	system := corev1.ResourceList{}
	for list, said := range map[*corev1.ResourceList]map[string]string{&kube: k.KubeReserved, &system: k.SystemReserved} {
		for name, text := range said {
			quantity, err := resource.ParseQuantity(text)
			if err != nil {
				return nil, fmt.Errorf("the kubelet does not start: reserving %q of %s: %w", text, name, err)
			}
			if _, counted := capacity[corev1.ResourceName(name)]; counted { // pid has no place in a Node
				(*list)[corev1.ResourceName(name)] = quantity
			}
		}
	}
	signals := merged(map[string]string{"memory.available": "100Mi", "nodefs.available": "10%"}, k.EvictionHard)
	eviction := corev1.ResourceList{}
	for signal, name := range map[string]corev1.ResourceName{"memory.available": corev1.ResourceMemory, "nodefs.available": corev1.ResourceEphemeralStorage} {
		threshold, err := threshold(signals[signal], capacity[name])
		if err != nil {
			return nil, fmt.Errorf("the kubelet does not start: eviction threshold of %s: %w", signal, err)
		}
		eviction[name] = threshold
	}
	return []corev1.ResourceList{kube, system, eviction}, nil
}

// threshold reads a quantity or a share of the capacity.
func threshold(text string, capacity resource.Quantity) (resource.Quantity, error) {
	if share, isShare := strings.CutSuffix(text, "%"); isShare {
		percent, err := strconv.ParseFloat(share, 64)
		if err != nil {
			return resource.Quantity{}, err
		}
		return *resource.NewQuantity(int64(float64(capacity.Value())*percent/100), resource.BinarySI), nil
	}
	return resource.ParseQuantity(text)
}

// kubeCPUMilli is what EKS's images reserve: 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the rest.
func kubeCPUMilli(cores int64) int64 {
	tenthsOfMilli := int64(0) // 0.25 % of a core is 2.5 milli-cores
	for core := range cores {
		switch {
		case core == 0:
			tenthsOfMilli += 600
		case core == 1:
			tenthsOfMilli += 100
		case core < 4:
			tenthsOfMilli += 50
		default:
			tenthsOfMilli += 25
		}
	}
	return tenthsOfMilli / 10
}

// GPUResource is the resource under which a maker's device plugin shows its GPUs.
func GPUResource(g cloud.GPU) corev1.ResourceName {
	if strings.EqualFold(g.Manufacturer, "AMD") {
		return "amd.com/gpu"
	}
	return "nvidia.com/gpu"
}
