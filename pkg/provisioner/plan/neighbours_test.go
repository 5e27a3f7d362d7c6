package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// host is a node as kube-scheduler would see it once everything that is decided stands.
type host struct {
	labels          map[string]string
	taints          []corev1.Taint
	name            string
	chosen, lasting map[demand.SelectorKey]int
	apart           []demand.Term
	ports           []demand.HostPort
}

// binding plays kube-scheduler's filters on a Decision, pod by pod and node by node, written anew from their documentation.
type binding struct {
	hosts   []*host
	first   int // hosts that stand or were bought before: they come first
	pods    []types.UID
	asks    map[types.UID]*demand.Demand
	planned map[types.UID]*host
}

func newBinding(v View, d Decision) *binding {
	b := &binding{asks: map[types.UID]*demand.Demand{}, planned: map[types.UID]*host{}}
	for i := range v.Demands {
		for _, p := range v.Demands[i].Pods {
			b.asks[p.UID] = &v.Demands[i]
		}
	}
	onNode, onClaim := map[string]*host{}, map[string]*host{}
	wanted := map[string]bool{}
	for _, p := range d.Placed {
		wanted[p.Claim] = true
	}
	add := func(h *host) *host { b.hosts = append(b.hosts, h); return h }
	for _, n := range v.Nodes {
		h := add(&host{labels: n.Labels, taints: n.Taints, name: n.Name, chosen: maps.Clone(n.Chosen), lasting: maps.Clone(n.Lasting), apart: n.Apart, ports: n.Ports})
		onNode[n.Name] = h
		if n.Claim != "" && wanted[n.Claim] {
			onClaim[n.Claim] = h
		}
	}
	for i := range v.Claims {
		c := &v.Claims[i].Object
		if onClaim[c.Name] == nil && wanted[c.Name] {
			onClaim[c.Name] = add(&host{name: c.Name})
		}
		if h := onClaim[c.Name]; h != nil {
			h.labels, h.taints = machine(v, c), c.Spec.Taints
		}
	}
	for _, p := range d.Placed {
		b.planned[p.Pod] = onNode[p.Node]
		if p.Claim != "" {
			b.planned[p.Pod] = onClaim[p.Claim]
		}
	}
	b.first = len(b.hosts)
	for i := range d.Create {
		c := &d.Create[i]
		h := add(&host{name: c.Name, labels: machine(v, c), taints: c.Spec.Taints})
		for _, p := range c.Spec.Pods {
			b.planned[p.UID] = h
		}
	}
	b.pods = slices.Sorted(maps.Keys(b.planned))
	return b
}

// machine is the labels of a claim's first choice.
func machine(v View, c *v1alpha1.NodeClaim) map[string]string {
	choice := c.Spec.Choices[0]
	key := cloud.OfferingKey{InstanceType: choice.InstanceType, Zone: choice.Zone, Market: cloud.Market(c.Spec.Market)}
	kind := TypeLabels(typesByName(v.Types)[choice.InstanceType])
	return merged(merged(merged(kind, PlaceLabels(key, v.Region, "")), OwnerLabels(c.Spec.Provisioner, "default")), c.Spec.Labels)
}

// unbound says which pods never get where they were planned. kube-scheduler's order is not known, so one that goes is enough: with who asks
// for an even spread before who is only counted, with who may be the first of its kind before the others of it, or in the order of names.
func unbound(v View, d Decision) []string {
	var found []string
	for order, first := range []func(*demand.Demand) int{requiredSpreads, ownCompany, func(*demand.Demand) int { return 0 }} {
		b := newBinding(v, d)
		slices.SortStableFunc(b.pods, func(x, y types.UID) int { return first(b.asks[y]) - first(b.asks[x]) })
		if found = b.stuck(order < 2); len(found) == 0 {
			break
		}
	}
	return found
}

// ownCompany is 1 for pods that may be the first of their kind.
func ownCompany(d *demand.Demand) int {
	if slices.ContainsFunc(d.Neighbours.Near, func(t demand.Term) bool { return slices.Contains(d.Neighbours.Chosen, t.Selector) }) {
		return 1
	}
	return 0
}

func requiredSpreads(d *demand.Demand) int {
	n := 0
	for _, s := range d.Neighbours.Spread {
		if !s.Soft {
			n++
		}
	}
	return n
}

// stuck binds pods one after the other, first what can be while nothing that is bought now stands, and says which never get where they
// were planned. With again, the order starts anew after each.
func (b *binding) stuck(again bool) []string {
	waiting, why := b.pods, map[types.UID]string{}
	all := b.hosts
	for _, stand := range []int{b.first, len(all)} {
		b.hosts = all[:stand]
		for at := 0; at < len(waiting); at++ {
			uid := waiting[at]
			if !slices.Contains(b.hosts, b.planned[uid]) {
				continue
			}
			if why[uid] = b.refuses(b.asks[uid], b.planned[uid]); why[uid] != "" {
				continue
			}
			b.bind(b.asks[uid], b.planned[uid])
			waiting = slices.Delete(slices.Clone(waiting), at, at+1)
			passed := at
			at = -1
			if !again { // those before are tried again last
				waiting = append(slices.Clone(waiting[passed:]), waiting[:passed]...)
			}
		}
	}
	var list []string
	for _, uid := range waiting {
		list = append(list, fmt.Sprintf("%s never gets onto %s: %s", uid, b.planned[uid].name, why[uid]))
	}
	return list
}

func (b *binding) bind(d *demand.Demand, h *host) {
	if h.chosen == nil {
		h.chosen, h.lasting = map[demand.SelectorKey]int{}, map[demand.SelectorKey]int{}
	}
	for _, s := range d.Neighbours.Chosen {
		h.chosen[s]++
		h.lasting[s]++
	}
	h.apart = slices.Concat(h.apart, d.Neighbours.Apart)
	h.ports = slices.Concat(h.ports, d.Neighbours.Ports)
}

// domain answers where a host is under a key; a host is its own under the hostname.
func (h *host) domain(key string) (string, bool) {
	if key == corev1.LabelHostname {
		return h.name, true
	}
	v, has := h.labels[key]
	return v, has
}

func (b *binding) refuses(d *demand.Demand, h *host) string {
	n := &d.Neighbours
	for _, p := range n.Ports {
		for _, q := range h.ports {
			if p.Protocol == q.Protocol && p.Port == q.Port { // all addresses are 0.0.0.0 here
				return "port"
			}
		}
	}
	same := func(o *host, key string) bool {
		x, hasX := h.domain(key)
		y, hasY := o.domain(key)
		return hasX && hasY && x == y
	}
	for _, o := range b.hosts {
		for _, t := range n.Apart {
			if o.chosen[t.Selector] > 0 && same(o, t.TopologyKey) {
				return "its own anti-affinity " + t.TopologyKey
			}
		}
		for _, t := range o.apart {
			if slices.Contains(n.Chosen, t.Selector) && same(o, t.TopologyKey) {
				return "anti-affinity of others " + t.TopologyKey
			}
		}
	}
	if !b.affine(n, h, same) {
		return "affinity"
	}
	for _, s := range n.Spread {
		if !s.Soft && !b.even(d, s, h) {
			return fmt.Sprintf("spread %s %d", s.TopologyKey, s.MaxSkew)
		}
	}
	return ""
}

func (b *binding) affine(n *demand.Neighbours, h *host, same func(*host, string) bool) bool {
	anywhere := false
	all := true
	for _, t := range n.Near {
		if _, has := h.domain(t.TopologyKey); !has {
			return false
		}
		here := false
		for _, o := range b.hosts {
			if _, has := o.domain(t.TopologyKey); has && o.chosen[t.Selector] > 0 { // kube-scheduler counts pods in domains only
				anywhere = true
				here = here || same(o, t.TopologyKey)
			}
		}
		all = all && here
	}
	return all || !anywhere && !slices.ContainsFunc(n.Near, func(t demand.Term) bool { return !slices.Contains(n.Chosen, t.Selector) })
}

func (b *binding) even(d *demand.Demand, s demand.Spread, h *host) bool {
	count := map[string]int{}
	for _, o := range b.hosts {
		lacks := slices.ContainsFunc(d.Neighbours.Spread, func(x demand.Spread) bool {
			_, has := o.domain(x.TopologyKey)
			return !x.Soft && !has
		})
		only := demand.Selection{NodeSelector: d.Select.NodeSelector, Required: d.Select.Required}
		if lacks || !s.AnyNode && !accepts(only, o.labels, nil) || s.HonorTaints && !accepts(demand.Selection{Tolerations: d.Select.Tolerations}, nil, o.taints) {
			continue
		}
		domain, _ := o.domain(s.TopologyKey)
		count[domain] += o.lasting[s.Selector]
	}
	domain, has := h.domain(s.TopologyKey)
	if !has {
		return false
	}
	least := 1 << 30
	for _, n := range count {
		least = min(least, n)
	}
	if len(count) < int(s.MinDomains) {
		least = 0
	}
	self := 0
	if slices.Contains(d.Neighbours.Chosen, s.Selector) {
		self = 1
	}
	return count[domain]+self-least <= int(s.MaxSkew)
}

var drawnSelectors = []demand.SelectorKey{"a", "b", "c"}

func drawTerm(t *rapid.T) demand.Term {
	return demand.Term{
		TopologyKey: rapid.SampledFrom([]string{corev1.LabelTopologyZone, corev1.LabelTopologyZone, corev1.LabelHostname, corev1.LabelHostname,
			v1alpha1.LabelCapacityType, "example.com/team"}).Draw(t, "key"),
		Selector: rapid.SampledFrom(drawnSelectors).Draw(t, "selector"),
	}
}

func drawNeighbours(t *rapid.T) demand.Neighbours {
	var n demand.Neighbours
	for _, s := range drawnSelectors {
		if rapid.IntRange(0, 2).Draw(t, "is "+string(s)) == 0 {
			n.Chosen = append(n.Chosen, s)
		}
	}
	switch rapid.IntRange(0, 7).Draw(t, "asks") {
	case 0, 1:
		n.Spread = append(n.Spread, demand.Spread{Term: drawTerm(t), MaxSkew: int32(rapid.IntRange(1, 2).Draw(t, "skew")),
			MinDomains: int32(rapid.IntRange(0, 3).Draw(t, "minDomains")), Soft: rapid.IntRange(0, 3).Draw(t, "soft") == 0,
			AnyNode: rapid.IntRange(0, 3).Draw(t, "any") == 0, HonorTaints: rapid.IntRange(0, 3).Draw(t, "honor") == 0})
	case 2:
		n.Near = []demand.Term{drawTerm(t)}
	case 3:
		n.Apart = []demand.Term{drawTerm(t)}
	case 4:
		n.Ports = []demand.HostPort{{Protocol: "TCP", Address: "0.0.0.0", Port: int32(rapid.IntRange(80, 81).Draw(t, "port"))}}
	case 5:
		n.Preferred = []demand.Preference{{Term: drawTerm(t), Weight: int32(rapid.SampledFrom([]int{-100, 100}).Draw(t, "weight"))}}
	case 6:
		n.Spread = append(n.Spread, demand.Spread{Term: demand.Term{TopologyKey: corev1.LabelTopologyZone, Selector: "a"}, MaxSkew: 1})
		n.Spread = append(n.Spread, demand.Spread{Term: demand.Term{TopologyKey: corev1.LabelHostname, Selector: "a"}, MaxSkew: 1})
	}
	return n
}

func drawNeighbourlyView(t *rapid.T) View {
	v := drawView(t)
	for i := range v.Demands {
		v.Demands[i].Neighbours = drawNeighbours(t)
	}
	for i := range v.Nodes {
		n := &v.Nodes[i]
		for j := range v.Claims { // a node is what its claim says
			if c := &v.Claims[j].Object; c.Name == n.Claim {
				n.Labels = machine(v, c)
			}
		}
		n.Chosen, n.Lasting = map[demand.SelectorKey]int{}, map[demand.SelectorKey]int{}
		for _, s := range drawnSelectors {
			if k := rapid.IntRange(-2, 2).Draw(t, "holds"); k > 0 {
				n.Chosen[s], n.Lasting[s] = k, rapid.IntRange(0, k).Draw(t, "lasting")
			}
		}
		if rapid.IntRange(0, 3).Draw(t, "repels") == 0 {
			n.Apart = []demand.Term{drawTerm(t)}
		}
	}
	return v
}

// TestNeighboursHold draws Views whose pods ask for neighbours, and binds what is decided.
func TestNeighboursHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawNeighbourlyView(t)
		d, err := Grow(v, Policy{Steps: 500})
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range append(faults(v, d), unbound(v, d)...) {
			t.Error(fault)
		}
	})
}

// TestNeighboursHold_catches plants into good Decisions what kube-scheduler would refuse.
func TestNeighboursHold_catches(t *testing.T) {
	all := func(key, selector string) demand.Term { return term(key, selector) }
	stories := map[string]struct {
		asks func(n *demand.Neighbours)
		want string
	}{
		"all in one zone": {func(n *demand.Neighbours) {
			n.Spread = []demand.Spread{{Term: all("zone", "a"), MaxSkew: 1, MinDomains: 2}}
		}, "spread"},
		"two in a zone":  {func(n *demand.Neighbours) { n.Apart = []demand.Term{all("zone", "a")} }, "anti-affinity"},
		"two on a node":  {func(n *demand.Neighbours) { n.Apart = []demand.Term{all("host", "a")} }, "anti-affinity"},
		"a port twice":   {func(n *demand.Neighbours) { n.Ports = ports([]string{"80"}) }, "port"},
		"skew on a node": {func(n *demand.Neighbours) { n.Spread = []demand.Spread{{Term: all("host", "a"), MaxSkew: 1}} }, "spread"},
	}
	for name, tc := range stories {
		t.Run(name, func(t *testing.T) {
			v := testView(t, wish("w", 2, 1, func(d *demand.Demand) { d.Neighbours.Chosen = []demand.SelectorKey{"a"}; tc.asks(&d.Neighbours) }))
			d := grow(t, v)
			if found := unbound(v, d); len(found) > 0 || len(d.Create) != 2 {
				t.Fatalf("the good decision of %d claims: %v", len(d.Create), found)
			}
			d.Create[0].Spec.Pods = append(d.Create[0].Spec.Pods, d.Create[1].Spec.Pods...)
			d.Create[1].Spec.Pods = nil
			if found := strings.Join(unbound(v, d), "\n"); !strings.Contains(found, tc.want) {
				t.Errorf("want %q, found %q", tc.want, found)
			}
		})
	}
	t.Run("affinity torn apart", func(t *testing.T) {
		v := testView(t, wish("w", 2, 1, func(d *demand.Demand) {
			d.Neighbours.Chosen, d.Neighbours.Near = []demand.SelectorKey{"a"}, []demand.Term{all("zone", "a")}
		}))
		d := grow(t, v)
		for i, zone := range []string{"us-east-1a", "us-east-1b"} {
			d.Create[i].Spec.Choices = slices.Clone(d.Create[i].Spec.Choices) // equal claims share them
			d.Create[i].Spec.Choices[0].Zone = zone
		}
		if len(unbound(v, d)) == 0 {
			t.Error("pods in two zones are not seen")
		}
	})
}
