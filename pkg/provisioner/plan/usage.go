package plan

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// GPUResource is the extended resource under which a device plugin shows the GPUs of a type; empty without whole GPUs.
func GPUResource(t cloud.InstanceType) corev1.ResourceName {
	switch {
	case t.GPU.Count == 0:
		return ""
	case strings.EqualFold(t.GPU.Manufacturer, "amd"):
		return v1alpha1.ResourceAMDGPU
	default:
		return v1alpha1.ResourceGPU
	}
}

// Usage is what one node of a type takes of every limit that a Provisioner can have, at a price in micro-dollars per hour. Amounts
// are the machine's own, before any overhead, as users see them in EC2's tables.
func Usage(t cloud.InstanceType, priceMicroUSDPerHour int64) corev1.ResourceList {
	list := corev1.ResourceList{
		v1alpha1.LimitNodes:       *resource.NewQuantity(1, resource.DecimalSI),
		v1alpha1.LimitGPU:         *resource.NewQuantity(int64(t.GPU.Count), resource.DecimalSI),
		v1alpha1.LimitCostPerHour: *resource.NewScaledQuantity(priceMicroUSDPerHour, resource.Micro),
		corev1.ResourceCPU:        *resource.NewQuantity(int64(t.VCPUs), resource.DecimalSI),
		corev1.ResourceMemory:     *resource.NewQuantity(t.MemoryMiB<<20, resource.BinarySI),
	}
	if name := GPUResource(t); name != "" {
		list[name] = *resource.NewQuantity(int64(t.GPU.Count), resource.DecimalSI)
	}
	if t.EFAInterfaces > 0 {
		list[v1alpha1.ResourceEFA] = *resource.NewQuantity(int64(t.EFAInterfaces), resource.DecimalSI)
	}
	return list
}

// mostAmount is more of anything than can be used or reserved, in any unit. Larger amounts are cut to it: a limit of ten trillion dollars per
// hour, or of 8Ei of memory, is none, not 0.
const mostAmount = 1 << 60

// amount reads a quantity of a limit in the integer unit in which it is added up: micro-dollars, milli-cores, MiB, else units.
// Fractions are rounded up, so that usage is never understated.
func amount(name corev1.ResourceName, q resource.Quantity) int64 {
	scale := scaleOf(name)
	if q.Cmp(*resource.NewScaledQuantity(mostAmount, scale)) >= 0 {
		return mostAmount
	}
	n := q.ScaledValue(scale)
	if name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage {
		return (n + 1<<20 - 1) >> 20
	}
	return n
}

func scaleOf(name corev1.ResourceName) resource.Scale {
	switch name {
	case v1alpha1.LimitCostPerHour:
		return resource.Micro
	case corev1.ResourceCPU:
		return resource.Milli
	}
	return 0
}

// limitAmount is amount for a ceiling: fractions are rounded down.
func limitAmount(name corev1.ResourceName, q resource.Quantity) int64 {
	up := amount(name, q)
	back := *resource.NewScaledQuantity(up, scaleOf(name))
	if up < mostAmount && (name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage) {
		back = *resource.NewQuantity(up<<20, resource.BinarySI)
	}
	if back.Cmp(q) > 0 {
		return up - 1
	}
	return up
}

// MaxUsage answers the larger amount of each resource.
func MaxUsage(a, b corev1.ResourceList) corev1.ResourceList {
	most := a.DeepCopy()
	for name, q := range b {
		if have, ok := most[name]; !ok || q.Cmp(have) > 0 {
			if most == nil {
				most = corev1.ResourceList{}
			}
			most[name] = q
		}
	}
	return most
}

// Disk is what the ephemeral storage of an EC2NodeClass' nodes is on.
type Disk struct {
	// RootVolumeGiB is the size of the root volume.
	RootVolumeGiB int64
	// InstanceStore: it is on the type's own NVMe disks instead, as one RAID 0, where the type has any.
	InstanceStore bool `json:",omitempty"`
}

// mib is the size of the file system on a type, in MiB. The disks of an instance store are told in GB of 10^9 bytes.
func (d Disk) mib(t cloud.InstanceType) int64 {
	if d.InstanceStore && t.LocalNVMeGB > 0 {
		return t.LocalNVMeGB * 1_000_000_000 >> 20
	}
	return d.RootVolumeGiB << 10
}

// Allocatable is what a node of a type offers to pods (DaemonSets included), as the kubelet of EKS' images computes it.
//
// Sources: memory seen by Linux = 92.5 % of nominal (Karpenter's vm-memory-overhead-percent 0.075); kube-reserved memory =
// 11 MiB x pods + 255 MiB and CPU = 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of the rest
// (amazon-eks-ami's nodeadm); hard eviction at 100 MiB of memory and 10 % of the disk; pods = ENIs x (addresses - 1) + 2.
func Allocatable(t cloud.InstanceType, kubelet *v1alpha1.Kubelet, d Disk) demand.Resources {
	pods := maxPods(t, kubelet)
	cpu := int64(t.VCPUs) * 1000
	memory := t.MemoryMiB * 925 / 1000
	disk := d.mib(t)
	reserved := reservations(t, kubelet, pods)
	eviction := evictionHard(kubelet, memory, disk)
	r := demand.Resources{
		corev1.ResourceCPU:              max(0, cpu-reserved[corev1.ResourceCPU]),
		corev1.ResourceMemory:           max(0, memory-reserved[corev1.ResourceMemory]-eviction[corev1.ResourceMemory]),
		corev1.ResourceEphemeralStorage: max(0, disk-reserved[corev1.ResourceEphemeralStorage]-eviction[corev1.ResourceEphemeralStorage]),
		corev1.ResourcePods:             pods,
		ebsVolumes:                      attachableVolumes(t),
	}
	if name := GPUResource(t); name != "" {
		r[name] = int64(t.GPU.Count) * 1000
	}
	if t.EFAInterfaces > 0 {
		r[v1alpha1.ResourceEFA] = int64(t.EFAInterfaces)
	}
	return r
}

func maxPods(t cloud.InstanceType, kubelet *v1alpha1.Kubelet) int64 {
	pods := int64(t.MaxENIs*(t.IPv4PerENI-1) + 2)
	if kubelet == nil {
		return pods
	}
	if kubelet.MaxPods != nil {
		pods = int64(*kubelet.MaxPods)
	}
	if kubelet.PodsPerCore != nil && *kubelet.PodsPerCore > 0 {
		pods = min(pods, int64(*kubelet.PodsPerCore)*int64(t.VCPUs))
	}
	return pods
}

// reservedCPUMilli is nodeadm's share of the cores that it keeps for the kubelet, in milli-cores.
func reservedCPUMilli(vcpus int) int64 {
	reserved := 0.0
	for core := range vcpus {
		switch {
		case core == 0:
			reserved += 60
		case core == 1:
			reserved += 10
		case core < 4:
			reserved += 5
		default:
			reserved += 2.5
		}
	}
	return int64(reserved)
}

func reservations(t cloud.InstanceType, kubelet *v1alpha1.Kubelet, pods int64) demand.Resources {
	reserved := demand.Resources{
		corev1.ResourceCPU:              reservedCPUMilli(t.VCPUs),
		corev1.ResourceMemory:           11*pods + 255,
		corev1.ResourceEphemeralStorage: 1 << 10,
	}
	if kubelet == nil {
		return reserved
	}
	for name, text := range kubelet.KubeReserved {
		if q, err := resource.ParseQuantity(text); err == nil {
			reserved[corev1.ResourceName(name)] = amount(corev1.ResourceName(name), q)
		}
	}
	for name, text := range kubelet.SystemReserved {
		if q, err := resource.ParseQuantity(text); err == nil {
			reserved[corev1.ResourceName(name)] += amount(corev1.ResourceName(name), q)
		}
	}
	return reserved
}

func evictionHard(kubelet *v1alpha1.Kubelet, memoryMiB, diskMiB int64) demand.Resources {
	r := demand.Resources{corev1.ResourceMemory: 100, corev1.ResourceEphemeralStorage: diskMiB / 10}
	if kubelet == nil {
		return r
	}
	if text, ok := kubelet.EvictionHard["memory.available"]; ok {
		r[corev1.ResourceMemory] = threshold(text, memoryMiB)
	}
	if text, ok := kubelet.EvictionHard["nodefs.available"]; ok {
		r[corev1.ResourceEphemeralStorage] = threshold(text, diskMiB)
	}
	return r
}

// threshold reads an eviction threshold in MiB: a quantity, or a percentage of the total. What the CRD let through but cannot be
// read counts as nothing: the kubelet would refuse it, and the claim's ready deadline names that.
func threshold(text string, totalMiB int64) int64 {
	if percent, ok := strings.CutSuffix(text, "%"); ok {
		q, err := resource.ParseQuantity(percent)
		if err != nil {
			return 0
		}
		return q.MilliValue() * totalMiB / 100_000
	}
	q, err := resource.ParseQuantity(text)
	if err != nil {
		return 0
	}
	return amount(corev1.ResourceMemory, q)
}

// charges are what one node takes of the limits, by index of the limit.
func charges(limits []limit, provisioner string, usage corev1.ResourceList) []binpack.Charge {
	var list []binpack.Charge
	for i, l := range limits {
		if l.provisioner != provisioner {
			continue
		}
		if a := amount(l.resource, usage[l.resource]); a > 0 {
			list = append(list, binpack.Charge{Limit: i, Amount: a})
		}
	}
	return list
}

// limit is one entry of a Provisioner's spec.limits.
type limit struct {
	provisioner string
	resource    corev1.ResourceName
	ceiling     int64 // in the unit of amount
	used        int64
	leaving     int64 // of used: what is free once the claims that are leaving, and machines without a claim, are gone
}

// ledger lists every limit of every Provisioner with what runs, launches and drains against it. A claim counts with its debit from its
// creation to the end of its machine; a machine without a claim counts until it is gone.
func ledger(v *View) []limit {
	types := typesByName(v.Types)
	orphans := make([]corev1.ResourceList, len(v.Orphans))
	for i, o := range v.Orphans {
		orphans[i] = Usage(types[o.InstanceType], priceOf(v, o.OfferingKey))
	}
	var limits []limit
	for _, p := range v.Provisioners {
		for _, name := range sortedKeys(p.Object.Spec.Limits) {
			l := limit{provisioner: p.Object.Name, resource: name, ceiling: limitAmount(name, p.Object.Spec.Limits[name])}
			for i := range v.Claims {
				c := &v.Claims[i].Object
				if c.Spec.Provisioner == l.provisioner {
					debit := amount(name, c.DebitOf()[name])
					l.used += debit
					if v.Claims[i].Leaving {
						l.leaving += debit
					}
				}
			}
			for i, o := range v.Orphans {
				if o.Provisioner == l.provisioner {
					l.used += amount(name, orphans[i][name])
					l.leaving += amount(name, orphans[i][name])
				}
			}
			limits = append(limits, l)
		}
	}
	return limits
}

// priceOf answers the price of an offering; if it is not on offer any more, the highest of its type, so that usage is not understated.
func priceOf(v *View, key cloud.OfferingKey) int64 {
	highest := int64(0)
	for _, o := range v.Offerings {
		if o.OfferingKey == key {
			return o.PriceMicroUSDPerHour
		}
		if o.InstanceType == key.InstanceType {
			highest = max(highest, o.PriceMicroUSDPerHour)
		}
	}
	return highest
}
