package binpack

import "cmp"

// obstacle is what stands between a demand and an offering.
type obstacle struct {
	first Reason // Open: nothing
	count int    // how many things stand in the way: not allowed, each resource that is short, closed or sold out, each limit
	limit int    // the first limit in the way, else -1
	short int    // the resource that is short the most, relatively, else -1
}

// hold says why the pods of a demand that are left stay pending, in the state in which everybody else is placed. O(offerings).
func (s *solver) hold(st *state, d int) Held {
	h := Held{Demand: d, Count: st.left[d], Limit: -1, Nearest: -1, Resource: -1}
	obstacles := make([]obstacle, len(s.p.Offerings))
	for i := range obstacles {
		obstacles[i] = s.obstacle(st, d, i)
		h.Failed[obstacles[i].first]++
	}
	h.Reason = s.primary(st, d, &h)
	for i := range obstacles {
		if o := &obstacles[i]; (o.first == h.Reason || h.Reason == ReasonGang && o.first == Open) && (h.Nearest < 0 || s.nearer(d, obstacles, i, h.Nearest)) {
			h.Nearest = i
		}
	}
	if h.Nearest >= 0 {
		switch h.Reason {
		case ReasonLimit:
			h.Limit = obstacles[h.Nearest].limit
		case ReasonNoShape:
			h.Resource = obstacles[h.Nearest].short
		}
	}
	return h
}

// primary chooses the one reason: nothing allowed, then nothing large enough, then a limit in the way of something that could be bought
// otherwise, then whatever closes most of the large enough ones. A gang whose pods have a place one by one is held for the gang.
func (s *solver) primary(st *state, d int, h *Held) Reason {
	if s.p.Demands[d].Gang != 0 && s.placeable(st, d) {
		return ReasonGang
	}
	allowed := len(s.p.Offerings) - h.Failed[ReasonConstraint]
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

// nearer tells whether offering a is a nearer miss than b: fewer obstacles, then the smaller shortfall, then cheaper, then by name.
func (s *solver) nearer(d int, obstacles []obstacle, a, b int) bool {
	if c := cmp.Compare(obstacles[a].count, obstacles[b].count); c != 0 {
		return c < 0
	}
	if x, y := obstacles[a].short, obstacles[b].short; x >= 0 && y >= 0 {
		if c := compareShort(s.shortfall(d, b, y), s.shortfall(d, a, x)); c != 0 {
			return c > 0
		}
	}
	return s.p.Offerings[a].PriceMicroUSDPerHour < s.p.Offerings[b].PriceMicroUSDPerHour
}

// shortfall answers what the demand asks of a resource and what the offering's shape has.
func (s *solver) shortfall(d, offering, resource int) [2]int64 {
	return [2]int64{s.p.Demands[d].Size[resource], s.p.Shapes[s.p.Offerings[offering].Shape].Capacity[resource]}
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

func (s *solver) obstacle(st *state, d, i int) obstacle {
	out := obstacle{limit: -1, short: -1}
	hit := func(r Reason, index int) {
		out.count++
		if out.first == Open {
			out.first = r
		}
		switch {
		case r == ReasonLimit && out.limit < 0:
			out.limit = index
		case r == ReasonNoShape && (out.short < 0 || compareShort(s.shortfall(d, i, index), s.shortfall(d, i, out.short)) > 0):
			out.short = index
		}
	}
	if s.levelOf(d, i) < 0 {
		hit(ReasonConstraint, -1)
	}
	s.p.Obstacles(&Remains{Room: st.room, Stock: st.stock}, s.p.Demands[d].Size, i, hit)
	return out
}
