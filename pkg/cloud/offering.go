package cloud

import (
	"cmp"
	"strings"
)

// Market is how capacity is bought. It is the value of the label slipway.sh/capacity-type.
type Market string

// The markets, in the order in which a launch prefers them at equal price.
const (
	Reserved Market = "reserved"
	Spot     Market = "spot"
	OnDemand Market = "on-demand"
)

// OfferingKey names one thing that can be bought: an instance type in a zone in a market.
type OfferingKey struct {
	InstanceType string // g4dn.xlarge
	Zone         string // us-east-1a
	Market       Market
}

// String is the form type/zone/market, used in messages and flags.
func (k OfferingKey) String() string {
	return k.InstanceType + "/" + k.Zone + "/" + string(k.Market)
}

// Compare orders keys by type, zone, market; it is a total order.
func (k OfferingKey) Compare(o OfferingKey) int {
	return cmp.Or(strings.Compare(k.InstanceType, o.InstanceType), strings.Compare(k.Zone, o.Zone),
		strings.Compare(string(k.Market), string(o.Market)))
}

// Offering is an OfferingKey with what is known about it.
type Offering struct {
	OfferingKey
	ZoneID string // use1-az1; empty if unknown
	// PriceMicroUSDPerHour is > 0.
	PriceMicroUSDPerHour int64
}

// GPU describes the GPUs of an instance type. Count 0 means that it has none that Kubernetes can count as a whole
// (fractional types such as g6f included).
type GPU struct {
	Name         string // EC2's name: T4, V100, A10G, L4, L40S, A100, H100
	Manufacturer string // NVIDIA, AMD
	Count        int
	MemoryMiB    int64 // per GPU
}

// InstanceType is what a machine of a type has, before any overhead of kubelet or DaemonSets.
type InstanceType struct {
	Name            string
	Architecture    string // amd64, arm64 (Kubernetes' words)
	CPUManufacturer string // intel, amd, aws
	VCPUs           int
	MemoryMiB       int64
	GPU             GPU
	LocalNVMeGB     int64 // 0: no instance store
	MaxENIs         int
	IPv4PerENI      int
	EFAInterfaces   int
	NetworkMbps     int64
	EBSMbps         int64
	// EBSAttachments is how many attachments the type has in all, of which its first volume takes one; 0: not told. Unless they are for volumes
	// alone (EBSDedicated), network interfaces, GPUs and NVMe disks take one each, too.
	EBSAttachments int    `json:",omitempty"`
	EBSDedicated   bool   `json:",omitempty"`
	NVMeDisks      int    `json:",omitempty"` // of the instance store; 0 with LocalNVMeGB: not told
	Hypervisor     string // nitro, xen, "" on bare metal
	BareMetal      bool
}

// Family is the part of the name before the dot: g4dn.
func (t InstanceType) Family() string { f, _, _ := strings.Cut(t.Name, "."); return f }

// Size is the part of the name after the dot: xlarge.
func (t InstanceType) Size() string { _, s, _ := strings.Cut(t.Name, "."); return s }

// Category is the letters before the generation: g for g4dn, p for p3dn.
func (t InstanceType) Category() string {
	f := t.Family()
	if i := strings.IndexAny(f, "0123456789"); i >= 0 {
		return f[:i]
	}
	return f
}

// Generation is the digits after the category: 4 for g4dn. Empty where the family has none.
func (t InstanceType) Generation() string {
	rest := t.Family()[len(t.Category()):]
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		return rest
	}
	return rest[:end]
}
