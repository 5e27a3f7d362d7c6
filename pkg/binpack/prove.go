package binpack

import (
	"cmp"
	"slices"
)

// LowerBound proves what new nodes cost at the least that serve what the plan serves: Plan.LowerBoundMicroUSDPerHour says for which plans of the
// problem. The plan may be one for a tighter problem, whose demands were parts of these: of a node only the first choice and the contents are looked
// at. A crowd of demands gets one proof, made of the nodes in the plan; else the effort is that of Solve's own bound.
func LowerBound(p Problem, plan Plan, pol Policy) int64 {
	c, order := canonical(p)
	s := newSolver(c, pol)
	st := s.stateOf(&plan, order)
	s.seen = st.nodes
	s.steps -= s.reserve()
	if len(c.Demands) > crowdedItems {
		s.steps = 0
	}
	return s.lowerBound(st)
}

// stateOf is the state that a plan with the caller's indices comes to.
func (s *solver) stateOf(plan *Plan, o order) *state {
	demandAt, offeringAt, binAt := inverse(o.demands).at, inverse(o.offerings).at, inverse(o.bins).at
	contents := func(of []Content) []Content {
		list := slices.Clone(of)
		for i := range list {
			list[i].Demand = demandAt[list[i].Demand]
		}
		slices.SortFunc(list, func(a, b Content) int { return cmp.Compare(a.Demand, b.Demand) })
		return list
	}
	st := s.start()
	take := func(list []Content, copies int) []Content {
		for _, c := range list {
			st.left[c.Demand] -= c.Count * copies
		}
		return list
	}
	for _, f := range plan.Fills {
		st.fills[binAt[f.Bin]] = take(contents(f.Contents), 1)
	}
	for _, n := range plan.Nodes {
		st.nodes = append(st.nodes, bought{offering: offeringAt[n.Offerings[0]], copies: n.Copies, contents: take(contents(n.Contents), n.Copies)})
	}
	return st
}
