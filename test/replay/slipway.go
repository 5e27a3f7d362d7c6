package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/inventory"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// epoch is when the trace begins: any instant would do.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// slipway buys as the product does: it shows plan.Grow a View of the cluster and carries the Decision out.
type slipway struct {
	kinds  []kind
	byName map[string]*kind
	labels map[string]map[string]string
	base   plan.View
	policy plan.Policy
	boot   int64
	memory inventory.Arrivals
}

const provisioner = "gpu"

func newSlipway(kinds []kind, policy plan.Policy, r row) *slipway {
	s := &slipway{kinds: kinds, byName: map[string]*kind{}, labels: map[string]map[string]string{}, policy: policy, boot: r.BootS}
	var names []string
	s.base = plan.View{Region: region}
	for i := range kinds {
		k := &kinds[i]
		names = append(names, k.Name)
		s.byName[k.Name] = k
		key := cloud.OfferingKey{InstanceType: k.Name, Zone: zone, Market: cloud.OnDemand}
		labels := plan.TypeLabels(k.InstanceType)
		maps.Copy(labels, plan.PlaceLabels(key, region, ""))
		maps.Copy(labels, plan.OwnerLabels(provisioner, "default"))
		s.labels[k.Name] = labels
		s.base.Types = append(s.base.Types, k.InstanceType)
		s.base.Offerings = append(s.base.Offerings, plan.Offering{Offering: cloud.Offering{OfferingKey: key, PriceMicroUSDPerHour: k.price}, Stock: -1})
	}
	s.base.Provisioners = []plan.Provisioner{{
		Object: v1alpha1.Provisioner{
			ObjectMeta: metav1.ObjectMeta{Name: provisioner, UID: "provisioner"},
			Spec: v1alpha1.ProvisionerSpec{
				NodeClassRef: v1alpha1.NodeClassRef{Name: "default"},
				Requirements: []corev1.NodeSelectorRequirement{{Key: corev1.LabelInstanceTypeStable, Operator: corev1.NodeSelectorOpIn, Values: names}},
				Disruption:   v1alpha1.Disruption{IdleAfter: (time.Duration(r.IdleS) * time.Second).String()},
			},
		},
		Zones: []string{zone}, Architectures: []string{"amd64"}, Disk: plan.Disk{RootVolumeGiB: rootVolumeGiB},
	}}
	s.base.Daemons = []demand.Daemon{{Namespace: "kube-system", Name: "agents", Requests: resources(daemons)}}
	return s
}

func (s *slipway) saw(a arrival, now int64) {
	for range a.pods {
		s.memory.Came(demand.Class{Key: keyOf(a.size), Requests: resources(a.size)}, instant(now))
	}
}

func instant(second int64) time.Time { return epoch.Add(time.Duration(second) * time.Second) }

func keyOf(s size) string { return fmt.Sprintf("%08d-%08d-%05d", s[cpu], s[memory], s[gpu]) }

func uid(p *pod) types.UID { return types.UID(fmt.Sprintf("%07d", p.id)) }

func (s *slipway) decide(c *cluster, waiting []*pod) ([]assignment, error) {
	pods := map[types.UID]*pod{}
	for _, p := range waiting {
		pods[uid(p)] = p
	}
	v := s.view(c, waiting)
	decision, err := plan.Grow(v, s.policy)
	if err != nil {
		return nil, err
	}
	if len(decision.Held) > 0 {
		return nil, fmt.Errorf("%d pods are held: %s", len(decision.Held), decision.Held[0].Message)
	}
	var given []assignment
	for _, placed := range decision.Placed {
		if p := pods[placed.Pod]; p != nil {
			id, _ := strconv.Atoi((placed.Node + placed.Claim)[1:])
			at := slices.IndexFunc(c.nodes, func(n *node) bool { return n.id == id })
			given = append(given, assignment{p, c.nodes[at]})
		}
	}
	for i := range decision.Create {
		spec := &decision.Create[i].Spec
		n := c.buy(s.byName[spec.Choices[0].InstanceType], s.boot)
		for _, ref := range spec.Pods {
			given = append(given, assignment{pods[ref.UID], n})
		}
	}
	return given, nil
}

func name(n *node) string { return fmt.Sprintf("n%07d", n.id) }

// view is what inventory would gather.
func (s *slipway) view(c *cluster, waiting []*pod) plan.View {
	v := s.base
	v.Now = instant(c.now)
	all := slices.Clone(waiting)
	for _, n := range c.nodes {
		if n.ready <= c.now {
			v.Nodes = append(v.Nodes, plan.Node{
				Name: name(n), Labels: s.labels[n.kind.Name], Free: resources(n.free), Open: true, GPUPods: n.pods,
				CreatedAt: instant(n.bought), QuietSince: v.Now,
			})
			continue
		}
		all = append(all, n.promised...)
		v.Claims = append(v.Claims, claimOf(n))
	}
	v.Demands = demands(all, v.Now)
	v.Arrivals = s.memory.Classes(v.Now)
	return v
}

// claimOf is the claim of a node on its way.
func claimOf(n *node) plan.Claim {
	c := plan.Claim{Object: v1alpha1.NodeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name(n), Labels: map[string]string{v1alpha1.LabelProvisioner: provisioner}},
		Spec: v1alpha1.NodeClaimSpec{
			Provisioner: provisioner, NodeClassRef: v1alpha1.NodeClassRef{Name: "default"}, Market: string(cloud.OnDemand),
			Choices: []v1alpha1.InstanceChoice{{InstanceType: n.kind.Name, Zone: zone}},
		},
		Status: v1alpha1.NodeClaimStatus{InstanceType: n.kind.Name, Zone: zone},
	}}
	for _, p := range n.promised {
		c.Object.Spec.Pods = append(c.Object.Spec.Pods, v1alpha1.PodRef{Namespace: "default", Name: string(uid(p)), UID: uid(p)})
	}
	return c
}

func demands(pods []*pod, now time.Time) []demand.Demand {
	by := map[string]*demand.Demand{}
	for _, p := range pods {
		key := keyOf(p.size)
		d := by[key]
		if d == nil {
			d = &demand.Demand{Key: key, Requests: resources(p.size)}
			by[key] = d
		}
		d.Pods = append(d.Pods, demand.Pod{Namespace: "default", Name: string(uid(p)), UID: uid(p), Since: now})
	}
	var list []demand.Demand
	for _, key := range slices.Sorted(maps.Keys(by)) {
		slices.SortFunc(by[key].Pods, func(a, b demand.Pod) int { return cmpUID(a.UID, b.UID) })
		list = append(list, *by[key])
	}
	return list
}

func cmpUID(a, b types.UID) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
