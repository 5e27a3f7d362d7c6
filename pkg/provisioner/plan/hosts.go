package plan

import (
	"slices"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/topology"
)

// hosts answers topology.Together what nodes there are.
type hosts struct {
	*growth
	base   *binpack.Problem
	atMost map[memberSpread]int
	// By asked demand:
	levels  [][]binpack.Level
	sizes   []binpack.Vector
	classes []topology.Class     // of one pod, with the preferences that are granted
	near    []demand.SelectorKey // whom its pods must share a node with, or would like to
}

func (g *growth) hosts(base *binpack.Problem, granted map[softRule]bool) *hosts {
	n := len(g.asked)
	h := &hosts{growth: g, base: base, atMost: map[memberSpread]int{}, levels: make([][]binpack.Level, n), sizes: make([]binpack.Vector, n),
		classes: make([]topology.Class, n), near: make([]demand.SelectorKey, n)}
	for i := range g.asked {
		d := g.asked[i].demand
		if g.asked[i].levels == nil {
			g.asked[i].levels = g.levels(&g.asked[i])
		}
		h.levels[i], h.sizes[i], h.classes[i] = g.asked[i].levels, vector(d.Requests, g.names), g.granted(i, granted)
		h.near[i] = topology.NearHost(&d.Neighbours)
		for _, w := range h.classes[i].Preferred {
			if h.near[i] == "" && w.Weight > 0 && w.TopologyKey == topology.Hostname {
				h.near[i] = w.Selector
			}
		}
	}
	return h
}

// Runs tells whether such a pod is on any node.
func (h *hosts) Runs(s demand.SelectorKey) bool { return h.places.world.Runs(s) }

// Room answers how many pods of a demand fit onto bins that hold what it must be near.
func (h *hosts) Room(member int) int {
	n := &h.asked[member].demand.Neighbours
	near := h.near[member]
	required := h.levels[member][len(h.levels[member])-1]
	room := 0
	for b := range h.bins {
		p := &h.places.list[h.binAt(b)]
		if p.Chosen[near] > 0 && required.Bins.Has(b) && !p.Refuses(n) {
			fits := copies(h.sizes[member], h.base.Bins[b].Free)
			if topology.Clash(n, n) {
				fits = min(fits, 1)
			}
			room += fits
		}
	}
	return room
}

// Fits tells whether pods may share a node, and there is one to be had that is large enough.
func (h *hosts) Fits(shares []topology.Share) bool {
	for i, a := range shares {
		for _, b := range shares[i:] {
			if (a.Member != b.Member || a.Pods > 1) && topology.ShareNoDomain(&h.asked[a.Member].demand.Neighbours, &h.asked[b.Member].demand.Neighbours) {
				return false
			}
		}
		if !h.spreads(a.Member, shares) {
			return false
		}
	}
	size := h.size(shares)
	levels := h.levelsOf(shares)
	required := levels[len(levels)-1]
	for i := range h.offers {
		if required.Offerings.Has(i) && h.buyable(i) && copies(size, h.base.Shapes[h.base.Offerings[i].Shape].Capacity) > 0 {
			return true
		}
	}
	for b := range h.bins {
		if required.Bins.Has(b) && copies(size, h.base.Bins[b].Free) > 0 {
			return true
		}
	}
	return false
}

// spreads tells whether a demand's spreads allow so many on a new node, and in its domains.
func (h *hosts) spreads(member int, shares []topology.Share) bool {
	for _, s := range h.asked[member].demand.Neighbours.Spread {
		if s.Soft {
			continue
		}
		n := 0
		for _, share := range shares {
			if slices.Contains(h.asked[share.Member].demand.Neighbours.Chosen, s.Selector) {
				n += share.Pods
			}
		}
		if n > int(s.MaxSkew) && n > h.perDomain(member, s) {
			return false
		}
	}
	return true
}

// perDomain answers how many pods that a spread counts may come to one domain at once.
func (h *hosts) perDomain(member int, s demand.Spread) int {
	if s.TopologyKey == topology.Hostname {
		return int(s.MaxSkew)
	}
	key := memberSpread{member, s}
	n, known := h.atMost[key]
	if !known {
		n = h.places.world.TogetherAtMost(&h.classes[member], s, h.usable(member))
		h.atMost[key] = n
	}
	return n
}

// usable are the places where there is room for a pod of a demand, or that can be bought.
func (h *hosts) usable(member int) binpack.Set {
	required := h.levels[member][len(h.levels[member])-1]
	set := binpack.NewSet(len(h.places.list))
	for i := range h.offers {
		if required.Offerings.Has(i) && h.buyable(i) {
			set.Add(i)
		}
	}
	for b := range h.bins {
		if required.Bins.Has(b) && copies(h.sizes[member], h.base.Bins[b].Free) > 0 {
			set.Add(h.binAt(b))
		}
	}
	return set
}

type memberSpread struct {
	member int
	spread demand.Spread
}

// buyable tells whether an offer can be bought now, as far as is known.
func (g *growth) buyable(i int) bool {
	return g.offers[i].source.Stock != 0 && g.closed(g.offers[i].source) == binpack.Open
}

func (h *hosts) size(shares []topology.Share) binpack.Vector {
	if len(shares) == 1 && shares[0].Pods == 1 {
		return h.sizes[shares[0].Member]
	}
	sum := make(binpack.Vector, len(h.names))
	for _, s := range shares {
		for r, q := range h.sizes[s.Member] {
			sum[r] += q * int64(s.Pods)
		}
	}
	return sum
}

// levelsOf answers the levels of the one demand, or of several what all require: preferences give way to sharing a node.
func (h *hosts) levelsOf(shares []topology.Share) []binpack.Level {
	if len(shares) == 1 {
		return h.levels[shares[0].Member]
	}
	var all binpack.Level
	for i, s := range shares {
		list := h.levels[s.Member]
		last := list[len(list)-1]
		if i == 0 {
			all = last
			continue
		}
		all = binpack.Level{Offerings: within(all.Offerings, last.Offerings), Bins: within(all.Bins, last.Bins)}
	}
	return []binpack.Level{all}
}

// copies answers how many items of a size fit.
func copies(size, free binpack.Vector) int {
	most := int64(binpack.MaxCount)
	for r, q := range size {
		if q > 0 {
			most = min(most, free[r]/q)
		}
	}
	return int(max(0, most))
}
