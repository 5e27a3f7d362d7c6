package binpack

import (
	"cmp"
	"slices"
)

// obstacle is what stands between a demand and an offering.
type obstacle struct {
	first Reason // Open: nothing
	count int    // how many things stand in the way: not allowed, each resource that is short, closed or sold out, each limit
	limit int    // the first limit in the way, else -1
	short int    // the resource that is short the most, relatively, else -1
}

// hold says why the pods of a demand that are left stay pending, in the state in which everybody else is placed. O(offerings).
func (s *solver) hold(st *state, d int) Held {
	h := s.p.Hold(&Remains{Room: st.room, Stock: st.stock}, &s.p.Demands[d])
	h.Demand, h.Count = d, st.left[d]
	if s.p.Demands[d].Gang != 0 && s.placeable(st, d) {
		h.Reason, h.Limit, h.Resource = ReasonGang, -1, -1
		h.Nearest = s.p.nearest(&s.p.Demands[d], s.p.obstacles(&Remains{Room: st.room, Stock: st.stock}, &s.p.Demands[d]), Open)
	}
	return h
}

// Hold says what keeps one more node from being bought for a demand, whether it is one of the problem or not. Demand and Count are left to the
// caller. What is in the way of nothing is counted as Open. O(offerings).
func (p *Problem) Hold(r *Remains, d *Demand) Held {
	h := Held{Limit: -1, Nearest: -1, Resource: -1}
	list := p.obstacles(r, d)
	for i := range list {
		h.Failed[list[i].first]++
	}
	h.Reason = h.primary(len(list))
	if h.Nearest = p.nearest(d, list, h.Reason); h.Nearest >= 0 {
		switch h.Reason {
		case ReasonLimit:
			h.Limit = list[h.Nearest].limit
		case ReasonNoShape:
			h.Resource = list[h.Nearest].short
		}
	}
	return h
}

// primary chooses the one reason: nothing allowed, then nothing large enough, then a limit in the way of something that could be bought
// otherwise, then whatever closes most of the large enough ones.
func (h *Held) primary(offerings int) Reason {
	allowed := offerings - h.Failed[ReasonConstraint]
	switch {
	case allowed == 0:
		return ReasonConstraint
	case allowed == h.Failed[ReasonNoShape]:
		return ReasonNoShape
	case h.Failed[ReasonLimit] > 0:
		return ReasonLimit
	}
	most := ReasonStockout
	for _, r := range []Reason{ReasonQuota, ReasonOutage} {
		if h.Failed[r] > h.Failed[most] {
			most = r
		}
	}
	return most
}

// nearest answers the offering that came closest of those that failed on a reason first; -1: none did.
func (p *Problem) nearest(d *Demand, list []obstacle, reason Reason) int {
	nearest := -1
	for i := range list {
		if list[i].first == reason && (nearest < 0 || p.nearer(d, list, i, nearest)) {
			nearest = i
		}
	}
	return nearest
}

// nearer tells whether offering a is a nearer miss than b: fewer obstacles, then the smaller shortfall, then cheaper, then by name.
func (p *Problem) nearer(d *Demand, list []obstacle, a, b int) bool {
	if c := cmp.Compare(list[a].count, list[b].count); c != 0 {
		return c < 0
	}
	if x, y := list[a].short, list[b].short; x >= 0 && y >= 0 {
		if c := compareShort(p.shortfall(d, b, y), p.shortfall(d, a, x)); c != 0 {
			return c > 0
		}
	}
	return p.Offerings[a].PriceMicroUSDPerHour < p.Offerings[b].PriceMicroUSDPerHour
}

// shortfall answers what the demand asks of a resource and what the offering's shape has.
func (p *Problem) shortfall(d *Demand, offering, resource int) [2]int64 {
	return [2]int64{d.Size[resource], p.Shapes[p.Offerings[offering].Shape].Capacity[resource]}
}

// compareShort compares asked/has of two misses; has may be 0, which is infinitely short.
func compareShort(a, b [2]int64) int {
	switch {
	case a[1] == 0 && b[1] == 0:
		return 0
	case a[1] == 0:
		return 1
	case b[1] == 0:
		return -1
	}
	return cmp.Compare(float64(a[0])/float64(a[1]), float64(b[0])/float64(b[1]))
}

// obstacles answers what is in the way of each offering.
func (p *Problem) obstacles(r *Remains, d *Demand) []obstacle {
	list := make([]obstacle, len(p.Offerings))
	for i := range list {
		list[i] = p.obstacle(r, d, i)
	}
	return list
}

func (p *Problem) obstacle(r *Remains, d *Demand, i int) obstacle {
	out := obstacle{limit: -1, short: -1}
	hit := func(reason Reason, index int) {
		out.count++
		if out.first == Open {
			out.first = reason
		}
		switch {
		case reason == ReasonLimit && out.limit < 0:
			out.limit = index
		case reason == ReasonNoShape && (out.short < 0 || compareShort(p.shortfall(d, i, index), p.shortfall(d, i, out.short)) > 0):
			out.short = index
		}
	}
	if !slices.ContainsFunc(d.Levels, func(l Level) bool { return l.Offerings.Has(i) }) {
		hit(ReasonConstraint, -1)
	}
	p.Obstacles(r, d.Size, i, hit)
	return out
}
