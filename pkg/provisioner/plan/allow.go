package plan

import (
	"encoding/binary"
	"slices"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// allow computes the places of an item: what its demands select, less what neighbours forbid. O(bins + wary offers + words of a set).
func (g *growth) allow(it *item, base *binpack.Problem) {
	required := it.levels[len(it.levels)-1]
	c := &it.class
	fits := g.fits(it.size, base)
	c.Allowed = g.places.world.Admits(c, g.selectable(it, required))
	c.Room = func(place int) int { return copies(it.size, base.Bins[place-len(g.offers)].Free) }
	c.Price = func(place int) int64 { return fits.price[place] }
	if len(it.levels) > 1 {
		c.Level = func(place int) int { return g.levelAt(it, place) }
	}
	c.Usable = binpack.NewSet(len(g.places.list))
	if it.holding == "" {
		copy(c.Usable, within(within(required.Offerings, fits.offers), c.Allowed))
	}
	usable := false
	for b := range g.bins {
		if at := g.binAt(b); c.Allowed.Has(at) && c.Room(at) > 0 {
			c.Usable.Add(at)
			usable = true
		}
	}
	it.barred = it.holding == "" && !usable && !empty(required.Offerings) && empty(within(required.Offerings, c.Allowed))
}

// levelAt answers the strictest level of an item that has an allowed place.
func (g *growth) levelAt(it *item, place int) int {
	return slices.IndexFunc(it.levels, func(l binpack.Level) bool {
		if place < len(g.offers) {
			return l.Offerings.Has(place)
		}
		return l.Bins.Has(place - len(g.offers))
	})
}

// selectable answers the places that an item's demands select and where nobody on them keeps it off.
func (g *growth) selectable(it *item, required binpack.Level) binpack.Set {
	set := binpack.NewSet(len(g.places.list))
	if it.holding == "" {
		copy(set, required.Offerings)
		for _, i := range g.places.wary {
			refuses := func(n *demand.Neighbours) bool {
				return g.places.list[i].Refuses(n) || g.daemonRepels(g.offers[i].labels, g.offers[i].pool.taints, n)
			}
			if set.Has(i) && slices.ContainsFunc(it.asks, refuses) {
				set[i/64] &^= 1 << (i % 64)
			}
		}
	}
	for b := range g.bins {
		p := &g.places.list[g.binAt(b)]
		refuses := func(n *demand.Neighbours) bool {
			return p.Refuses(n) || g.bins[b].node == nil && slices.ContainsFunc(g.bins[b].labels,
				func(labels map[string]string) bool { return g.daemonRepels(labels, g.bins[b].taints, n) })
		}
		if required.Bins.Has(b) && !slices.ContainsFunc(it.asks, refuses) && (it.holding == "" || p.Chosen[it.holding] > 0) {
			set.Add(g.binAt(b))
		}
	}
	return set
}

// fitting is what a size means for each offer.
type fitting struct {
	offers binpack.Set // those that it fits and that can be bought
	price  []int64     // of one item there: see share
}

// fits finds it out once for each size.
func (g *growth) fits(size binpack.Vector, base *binpack.Problem) *fitting {
	print := sizePrint(size)
	if known, ok := g.fitting[print]; ok {
		return known
	}
	f := &fitting{offers: binpack.NewSet(len(g.offers)), price: make([]int64, len(g.offers))}
	for i := range g.offers {
		if copies(size, base.Shapes[base.Offerings[i].Shape].Capacity) > 0 && g.buyable(i) {
			f.offers.Add(i)
		}
		f.price[i] = share(size, base, i)
	}
	g.fitting[print] = f
	return f
}

// sizePrint is equal for equal vectors.
func sizePrint(v binpack.Vector) string {
	print := make([]byte, 0, 8*len(v))
	for _, q := range v {
		print = binary.LittleEndian.AppendUint64(print, uint64(q))
	}
	return string(print)
}

// share is what an item costs at least on a node of an offer: its largest share of any resource of the node. Lower tiers come first.
func share(size binpack.Vector, base *binpack.Problem, offer int) int64 {
	const tier = 1 << 40 // more than any price
	o := &base.Offerings[offer]
	most := 0.0
	for r, q := range base.Shapes[o.Shape].Capacity {
		if q > 0 {
			most = max(most, float64(size[r])/float64(q))
		}
	}
	return int64(o.Tier)*tier + int64(most*float64(o.PriceMicroUSDPerHour))
}
