package topology

import (
	"slices"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// PortsClash tells whether two pods with these ports cannot share a node.
func PortsClash(a, b []demand.HostPort) bool {
	const any = "0.0.0.0"
	return slices.ContainsFunc(a, func(x demand.HostPort) bool {
		return slices.ContainsFunc(b, func(y demand.HostPort) bool {
			return x.Protocol == y.Protocol && x.Port == y.Port && (x.Address == y.Address || x.Address == any || y.Address == any)
		})
	})
}

// Clash tells whether pods of two demands, or two of one, cannot share a node: for their ports, or for required anti-affinity of either.
func Clash(a, b *demand.Neighbours) bool {
	return PortsClash(a.Ports, b.Ports) || repels(a.Apart, b.Chosen) || repels(b.Apart, a.Chosen)
}

// ShareNoDomain tells whether two pods cannot be on one node because of ports, or of anti-affinity on any key: who shares a node shares
// every domain that it is in. A key that the node lacks would not matter; that is not looked at.
func ShareNoDomain(a, b *demand.Neighbours) bool {
	chooses := func(terms []demand.Term, chosen []demand.SelectorKey) bool {
		return slices.ContainsFunc(terms, func(t demand.Term) bool { return slices.Contains(chosen, t.Selector) })
	}
	return Clash(a, b) || chooses(a.Apart, b.Chosen) || chooses(b.Apart, a.Chosen)
}

func repels(terms []demand.Term, chosen []demand.SelectorKey) bool {
	return slices.ContainsFunc(terms, func(t demand.Term) bool {
		return t.TopologyKey == Hostname && slices.Contains(chosen, t.Selector)
	})
}

// Refuses tells whether the pods on a place keep a pod of a demand off it: by their ports or anti-affinity, or by its own.
func (p *Place) Refuses(n *demand.Neighbours) bool {
	return PortsClash(p.Ports, n.Ports) || repels(p.Apart, n.Chosen) ||
		slices.ContainsFunc(n.Apart, func(t demand.Term) bool { return t.TopologyKey == Hostname && p.Chosen[t.Selector] > 0 })
}

// NearHost answers the selector of the pods that must be on the same node; empty: none.
func NearHost(n *demand.Neighbours) demand.SelectorKey {
	for _, t := range n.Near {
		if t.TopologyKey == Hostname {
			return t.Selector
		}
	}
	return ""
}

// Runs tells whether a pod that the selector chooses is on a place that stands.
func (w *World) Runs(selector demand.SelectorKey) bool {
	return slices.ContainsFunc(w.places, func(p Place) bool { return p.Chosen[selector] > 0 })
}

// LeastPerNode is the global minimum of a spread of a class over nodes that stand: the fewest pods on any node that counts; 0 if none
// does, or fewer than its MinDomains.
func (w *World) LeastPerNode(c *Class, s demand.Spread) int {
	least, seen := 0, 0
	for i := range w.eligibleOnce(c, s).All() {
		if !w.places[i].Stands {
			continue
		}
		n := w.places[i].Lasting[s.Selector]
		if n == 0 {
			return 0
		}
		if seen == 0 || n < least {
			least = n
		}
		seen++
	}
	if seen < int(s.MinDomains) {
		return 0
	}
	return least
}

// Eligible tells whether what is bought at a place would count for a spread of the class.
func (w *World) Eligible(c *Class, s demand.Spread, place int) bool {
	return w.eligibleOnce(c, s).Has(place)
}
