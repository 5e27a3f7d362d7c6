package plan

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// View is one consistent picture of the cluster and the cloud: everything that a Decision depends on. It is a value that
// can be written as JSON and read back.
type View struct {
	Now          time.Time
	Region       string
	Demands      []demand.Demand // by Key
	Provisioners []Provisioner   // by name
	Types        []cloud.InstanceType
	Offerings    []Offering // by key
	Claims       []Claim    // by name
	Nodes        []Node     // by name
	Daemons      []demand.Daemon
	// Refused are pods that a node was launched for and that their scheduler did not bind there: they are held until the time given,
	// so that nodes are not bought for them again and again.
	Refused map[types.UID]Refusal `json:",omitempty"`
	// Arrivals is what has come lately, by Key: what is to be counted on.
	Arrivals []Arrival `json:",omitempty"`
	// Learned is what nodes were seen to leave to pods, for where it is less than predicted. By Provisioner and instance type.
	Learned []Learned `json:",omitempty"`
	// Orphans are machines of ours without a claim: they count against limits until they are gone. By ID.
	Orphans []cloud.Instance `json:",omitempty"`
}

// Learned is what a node of a type and a Provisioner was seen to leave to pods other than those of DaemonSets and static ones. A prediction
// that turned out too high must not buy the same node again.
type Learned struct {
	Provisioner  string
	InstanceType string
	Free         demand.Resources
}

// Refusal is why a pod is not to get another node for now.
type Refusal struct {
	Node    string
	Message string // what the scheduler said
	Until   time.Time
}

// Provisioner is a Provisioner with what its EC2NodeClass resolved to.
type Provisioner struct {
	Object v1alpha1.Provisioner
	// Zones are those of the EC2NodeClass's subnets, sorted; Architectures those of its images, sorted.
	Zones         []string
	Architectures []string
	Disk
	// NotReady, if not empty, says why nothing can be launched from it now, and NotReadyReason types it.
	NotReady       string          `json:",omitempty"`
	NotReadyReason v1alpha1.Reason `json:",omitempty"`
}

// Offering is what can be bought, and how it has done lately.
type Offering struct {
	cloud.Offering
	// Closed, if not empty, is why it is not to be bought before Until: HeldStockout, HeldQuota or HeldOutage.
	Closed v1alpha1.Reason `json:",omitempty"`
	Until  time.Time       `json:",omitzero"`
	// Stock bounds how many may be bought now: 1 while a probe after a stockout is allowed; negative: no bound.
	Stock int
	// RiskMilli raises the price by so many thousandths for what its interruptions cost.
	RiskMilli int64 `json:",omitempty"`
}

// Claim is a NodeClaim and how far it has come.
type Claim struct {
	Object v1alpha1.NodeClaim
	// Leaving: it is being deleted, retired or has failed; it still counts against limits and takes no pod.
	Leaving bool
}

// Node is a Kubernetes node with what is free on it, whoever launched it.
type Node struct {
	Name   string
	Claim  string // name of its NodeClaim; empty: not ours
	Labels map[string]string
	Taints []corev1.Taint
	Free   demand.Resources // allocatable minus the requests of the pods bound to it
	Open   bool             // Ready, schedulable, and not gated, fenced or leaving
	// Fenced: it would be open, were it not about to be retired for being idle, which can still be taken back.
	Fenced bool
	// Bound is what the pods bound or nominated to it ask for, those of DaemonSets and static ones excepted.
	Bound        demand.Resources `json:",omitempty"`
	GPUPods      int              // pods bound or nominated to it that keep it from being idle: see demand.UsesGPU
	DoNotDisrupt bool             // a pod on it, or the node itself, asks not to be disturbed
	// Chosen counts the pods bound or nominated to it, by the selectors that choose them; Lasting those of them that are not terminating,
	// which is what a topology spread counts.
	Chosen  map[demand.SelectorKey]int `json:",omitempty"`
	Lasting map[demand.SelectorKey]int `json:",omitempty"`
	// Apart are the required anti-affinity terms of the pods on it: who is chosen by one stays out of its domain. Sorted, no two equal.
	Apart []demand.Term `json:",omitempty"`
	// Ports are the host's ports that the pods on it have taken.
	Ports []demand.HostPort `json:",omitempty"`
	// QuietSince is when the free amounts last changed or the node became open. A place that a waiting pod's scheduler has left
	// unused for some time is not a place for that pod.
	QuietSince time.Time
	// IdleSince is when the last GPU pod left it, or it became ready; zero while it has GPU pods, and before its claim is ready.
	IdleSince time.Time
	CreatedAt time.Time
}
