package simulate

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// describing turns a Decision into a Result.
type describing struct {
	Scenario
	demandOf map[types.UID]*demand.Demand
	podOf    map[types.UID]*demand.Pod
	types    map[string]cloud.InstanceType
	daemons  []overhead
}

// overhead is a DaemonSet and the nodes that it comes onto.
type overhead struct {
	match    *demand.Matcher
	requests demand.Resources
}

// Describe answers the Result of a Decision about a Scenario.
func Describe(s Scenario, d plan.Decision) Result {
	e := &describing{Scenario: s, demandOf: map[types.UID]*demand.Demand{}, podOf: map[types.UID]*demand.Pod{}, types: map[string]cloud.InstanceType{}}
	r := Result{Version: ResultVersion, Region: s.View.Region, Nodes: []NodeGroup{}, NotConsidered: s.NotOurs, Skipped: s.Skipped, Assumptions: s.Assumptions}
	for i := range s.View.Demands {
		one := &s.View.Demands[i]
		for j := range one.Pods {
			e.demandOf[one.Pods[j].UID], e.podOf[one.Pods[j].UID] = one, &one.Pods[j]
		}
		r.Summary.Pods += len(one.Pods)
	}
	for _, t := range s.View.Types {
		e.types[t.Name] = t
	}
	for i := range s.View.Daemons {
		one := &s.View.Daemons[i]
		e.daemons = append(e.daemons, overhead{one.Select.Matcher(), one.Requests})
	}
	r.Nodes = e.nodes(d.Create)
	r.Existing = e.existing(d.Placed)
	r.Held = e.held(d.Held)
	e.summarise(&r, d)
	return r
}

func (e *describing) summarise(r *Result, d plan.Decision) {
	r.Summary.CostPerHour = cloud.FormatDollars(d.CostMicroUSDPerHour)
	r.Summary.Nodes, r.Summary.OnExisting = len(d.Create), len(d.Placed)
	for _, n := range r.Nodes {
		r.Summary.GPUs += n.GPU.Count * int64(n.Copies)
		r.Summary.GPUsUsed += n.GPU.Used * int64(n.Copies)
		for _, c := range n.Pods {
			r.Summary.OnNewNodes += c.Pods * n.Copies
		}
	}
	for _, h := range d.Held {
		r.Summary.Held += len(h.Pods)
	}
	if d.ExpectedMicroUSDPerHour != d.CostMicroUSDPerHour {
		r.Summary.ExpectedPerHour = cloud.FormatDollars(d.ExpectedMicroUSDPerHour)
	}
	if bound := d.LowerBoundMicroUSDPerHour; bound > 0 {
		r.Summary.LowerBoundPerHour = cloud.FormatDollars(bound)
		// Rounded up: it is a promise.
		gap := math.Ceil(float64(max(0, d.ExpectedMicroUSDPerHour-bound))/float64(bound)*10_000) / 100
		r.Summary.GapPercent = &gap
	}
}

// owner names the workload of a pod.
func (e *describing) owner(namespace, pod string, id types.UID) string {
	if known, ok := e.owners[id]; ok {
		return known
	}
	return guessed(namespace, pod)
}

func gpus(r demand.Resources) int64 {
	return (r[v1alpha1.ResourceGPU] + r[v1alpha1.ResourceAMDGPU] + 999) / 1000
}

// contents groups pods by workload and size, the largest first.
func (e *describing) contents(pods []types.UID) []Content {
	counts := map[Content]int{}
	for _, id := range pods {
		p, d := e.podOf[id], e.demandOf[id]
		counts[Content{Workload: e.owner(p.Namespace, p.Name, id), GPUs: gpus(d.Requests)}]++
	}
	all := make([]Content, 0, len(counts))
	for c, n := range counts {
		c.Pods = n
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Content) int {
		return cmp.Or(cmp.Compare(b.GPUs, a.GPUs), strings.Compare(a.Workload, b.Workload))
	})
	return all
}

// nodes groups the claims that are to be created.
func (e *describing) nodes(claims []v1alpha1.NodeClaim) []NodeGroup {
	groups := map[string]*NodeGroup{}
	for i := range claims {
		n := e.node(&claims[i])
		key := fmt.Sprint(n.Provisioner, n.InstanceType, n.Zone, n.Market, n.priceMicroUSD, n.Pods, n.CPUMilli, n.MemoryMiB)
		if known, ok := groups[key]; ok {
			known.Copies++
		} else {
			groups[key] = &n
		}
	}
	all := make([]NodeGroup, 0, len(groups))
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		n := groups[key]
		n.CostPerHour = cloud.FormatDollars(n.priceMicroUSD * int64(n.Copies))
		all = append(all, *n)
	}
	slices.SortStableFunc(all, func(a, b NodeGroup) int {
		return cmp.Or(cmp.Compare(b.priceMicroUSD, a.priceMicroUSD), cmp.Compare(b.Copies, a.Copies))
	})
	return all
}

func (e *describing) node(c *v1alpha1.NodeClaim) NodeGroup {
	first := c.Spec.Choices[0]
	kind := e.types[first.InstanceType]
	key := cloud.OfferingKey{InstanceType: first.InstanceType, Zone: first.Zone, Market: cloud.Market(c.Spec.Market)}
	n := NodeGroup{Copies: 1, Provisioner: c.Spec.Provisioner, InstanceType: first.InstanceType, Zone: first.Zone, Market: c.Spec.Market,
		PricePerHour: first.PricePerHour, Alternatives: len(c.Spec.Choices) - 1, Why: c.Spec.Why,
		GPU: GPU{Name: kind.GPU.Name, MemoryMiB: kind.GPU.MemoryMiB, Count: int64(kind.GPU.Count)}}
	n.priceMicroUSD, _ = cloud.ParseDollars(first.PricePerHour) // plan wrote it
	free := plan.Allocatable(kind, c.Spec.Kubelet, e.disk(c.Spec.Provisioner))
	n.CPUMilli.Capacity, n.MemoryMiB.Capacity = free[corev1.ResourceCPU], free[corev1.ResourceMemory]
	labels := plan.TypeLabels(kind)
	for _, more := range []map[string]string{plan.PlaceLabels(key, e.View.Region, ""),
		plan.OwnerLabels(c.Spec.Provisioner, c.Spec.NodeClassRef.Name), c.Spec.Labels} {
		maps.Copy(labels, more)
	}
	for _, d := range e.daemons {
		if d.match.Matches(labels, c.Spec.Taints) {
			n.CPUMilli.Daemons += d.requests[corev1.ResourceCPU]
			n.MemoryMiB.Daemons += d.requests[corev1.ResourceMemory]
		}
	}
	var pods []types.UID
	for _, ref := range c.Spec.Pods {
		d := e.demandOf[ref.UID]
		pods = append(pods, ref.UID)
		n.CPUMilli.Pods += d.Requests[corev1.ResourceCPU]
		n.MemoryMiB.Pods += d.Requests[corev1.ResourceMemory]
		n.GPU.Used += gpus(d.Requests)
	}
	n.Pods = e.contents(pods)
	return n
}

func (e *describing) disk(provisioner string) plan.Disk {
	for i := range e.View.Provisioners {
		if e.View.Provisioners[i].Object.Name == provisioner {
			return e.View.Provisioners[i].Disk
		}
	}
	return plan.Disk{}
}

// existing lists the nodes and claims that take pods.
func (e *describing) existing(placed []plan.Placed) []Existing {
	on := map[string][]types.UID{}
	for _, p := range placed {
		key := "node " + p.Node
		if p.Claim != "" {
			key = "claim " + p.Claim
		}
		on[key] = append(on[key], p.Pod)
	}
	var all []Existing
	for i := range e.View.Claims {
		c := &e.View.Claims[i].Object
		pods := on["claim "+c.Name]
		if len(pods) == 0 {
			continue
		}
		x := Existing{Name: c.Name, OnItsWay: true, InstanceType: c.Status.InstanceType, Zone: c.Status.Zone, Pods: e.contents(pods)}
		if x.InstanceType == "" && len(c.Spec.Choices) > 0 {
			x.InstanceType, x.Zone = c.Spec.Choices[0].InstanceType, c.Spec.Choices[0].Zone
		}
		kind := e.types[x.InstanceType]
		x.GPU = GPU{Name: kind.GPU.Name, MemoryMiB: kind.GPU.MemoryMiB, Count: int64(c.Spec.GPUs)}
		all = append(all, e.used(x, 0))
	}
	for i := range e.View.Nodes {
		n := &e.View.Nodes[i]
		pods := on["node "+n.Name]
		if len(pods) == 0 {
			continue
		}
		x := Existing{Name: n.Name, InstanceType: n.Labels[corev1.LabelInstanceTypeStable], Zone: n.Labels[corev1.LabelTopologyZone], Pods: e.contents(pods)}
		kind := e.types[x.InstanceType]
		bound := gpus(n.Bound)
		x.GPU = GPU{Name: kind.GPU.Name, MemoryMiB: kind.GPU.MemoryMiB, Count: gpus(n.Free) + bound}
		all = append(all, e.used(x, bound))
	}
	return all
}

// used counts the GPUs of an existing node that others have and that the pods will have.
func (e *describing) used(x Existing, taken int64) Existing {
	x.GPU.Used = taken
	for _, c := range x.Pods {
		x.GPU.Used += int64(c.Pods) * c.GPUs
	}
	return x
}

// held groups the held pods of a workload that are held for the same reason.
func (e *describing) held(list []plan.Held) []HeldPods {
	var all []HeldPods
	at := map[string]int{}
	for _, h := range list {
		for _, p := range h.Pods {
			one := HeldPods{Workload: e.owner(p.Namespace, p.Name, p.UID), GPUs: gpus(e.demandOf[p.UID].Requests), Reason: h.Reason,
				Message: h.Message, Provisioner: h.Provisioner, Obstacles: h.Obstacles}
			key := fmt.Sprint(one.Workload, "|", h.Demand, "|", h.Reason, "|", h.Message)
			i, known := at[key]
			if !known {
				i = len(all)
				at[key] = i
				one.Misses = misses(h.Misses)
				all = append(all, one)
			}
			all[i].Pods++
		}
	}
	slices.SortStableFunc(all, func(a, b HeldPods) int {
		return cmp.Or(strings.Compare(a.Workload, b.Workload), cmp.Compare(b.Pods, a.Pods))
	})
	return all
}

func misses(list []plan.Miss) []Miss {
	var all []Miss
	for _, m := range list {
		one := Miss{Provisioner: m.Provisioner, InstanceType: m.Offering.InstanceType, Zone: m.Offering.Zone, Market: string(m.Offering.Market),
			PricePerHour: cloud.FormatDollars(m.PriceMicroUSDPerHour)}
		for _, c := range m.Changes {
			one.Changes = append(one.Changes, c.String())
		}
		all = append(all, one)
	}
	return all
}
