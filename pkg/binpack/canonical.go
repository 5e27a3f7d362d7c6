package binpack

import (
	"cmp"
	"slices"
)

// order remembers where the entries of a canonical problem stood in the caller's: order.demands[new] = old.
type order struct{ demands, offerings, bins []int }

// canonical answers the same problem with demands, offerings and bins sorted by name, so that every tie-break by index is a
// tie-break by name and the plan does not depend on the order in which the caller listed things.
func canonical(p Problem) (Problem, order) {
	o := order{
		demands:   sortedBy(len(p.Demands), func(i int) string { return p.Demands[i].Name }),
		offerings: sortedBy(len(p.Offerings), func(i int) string { return p.Offerings[i].Name }),
		bins:      sortedBy(len(p.Bins), func(i int) string { return p.Bins[i].Name }),
	}
	offeringAt, binAt, demandAt := inverse(o.offerings), inverse(o.bins), inverse(o.demands)
	c := p
	c.Offerings = pick(p.Offerings, o.offerings)
	for i := range c.Offerings {
		shares := slices.Clone(c.Offerings[i].Shares)
		for n, old := range shares {
			shares[n] = offeringAt.at[old]
		}
		c.Offerings[i].Shares = shares
	}
	c.Bins = pick(p.Bins, o.bins)
	c.Demands = pick(p.Demands, o.demands)
	for i := range c.Demands {
		levels := make([]Level, len(c.Demands[i].Levels))
		for l, level := range c.Demands[i].Levels {
			levels[l] = Level{Offerings: moved(level.Offerings, offeringAt), Bins: moved(level.Bins, binAt)}
		}
		c.Demands[i].Levels = levels
		if len(c.Demands[i].Apart) > 0 {
			c.Demands[i].Apart = moved(c.Demands[i].Apart, demandAt)
		}
	}
	return c, o
}

// restore puts the caller's indices back into a plan of the canonical problem.
func (o order) restore(plan Plan) Plan {
	contents := func(cs []Content) {
		for i := range cs {
			cs[i].Demand = o.demands[cs[i].Demand]
		}
		slices.SortFunc(cs, func(a, b Content) int { return cmp.Compare(a.Demand, b.Demand) })
	}
	for i := range plan.Fills {
		plan.Fills[i].Bin = o.bins[plan.Fills[i].Bin]
		contents(plan.Fills[i].Contents)
	}
	slices.SortFunc(plan.Fills, func(a, b Fill) int { return cmp.Compare(a.Bin, b.Bin) })
	for i := range plan.Nodes {
		for j, offering := range plan.Nodes[i].Offerings {
			plan.Nodes[i].Offerings[j] = o.offerings[offering]
		}
		contents(plan.Nodes[i].Contents)
		contents(plan.Nodes[i].Expected)
	}
	for i := range plan.Held {
		h := &plan.Held[i]
		h.Demand = o.demands[h.Demand]
		if h.Nearest >= 0 {
			h.Nearest = o.offerings[h.Nearest]
		}
	}
	slices.SortFunc(plan.Held, func(a, b Held) int { return cmp.Compare(a.Demand, b.Demand) })
	return plan
}

func sortedBy(n int, name func(int) string) []int {
	at := make([]int, n)
	for i := range at {
		at[i] = i
	}
	slices.SortFunc(at, func(a, b int) int { return cmp.Or(cmp.Compare(name(a), name(b)), cmp.Compare(a, b)) })
	return at
}

// renumbering says at[old] = new; same: everything stays where it is.
type renumbering struct {
	at   []int
	same bool
}

func inverse(at []int) renumbering {
	inv := renumbering{make([]int, len(at)), slices.IsSorted(at)}
	for i, old := range at {
		inv.at[old] = i
	}
	return inv
}

func pick[T any](from []T, at []int) []T {
	out := make([]T, len(at))
	for i, old := range at {
		out[i] = from[old]
	}
	return out
}

// moved answers the set with each index where to says that it went. Nobody changes sets, so one is answered as it is if nothing went elsewhere.
func moved(s Set, to renumbering) Set {
	if to.same && len(s) == len(NewSet(len(to.at))) {
		return s
	}
	out := NewSet(len(to.at))
	for old := range s.All() {
		if old < len(to.at) {
			out.Add(to.at[old])
		}
	}
	return out
}
