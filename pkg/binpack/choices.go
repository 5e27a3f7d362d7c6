package binpack

import (
	"cmp"
	"slices"
)

// plan turns the final state into the answer: equal nodes together, by name of offering and contents, with their choices.
func (s *solver) plan(st *state) Plan {
	plan := Plan{CostMicroUSDPerHour: s.cost(st)}
	waiting := s.awaited(st)
	for b, contents := range st.fills {
		if len(contents) > 0 {
			plan.Fills = append(plan.Fills, Fill{Bin: b, Contents: slices.Clone(contents)})
		}
	}
	for d, left := range st.left {
		if left > 0 {
			plan.Held = append(plan.Held, s.hold(st, d))
		}
	}
	nodes := inOrder(st.nodes)
	led := st.ledger.clone()
	for i := 0; i < len(nodes); {
		first, copies := &nodes[i], 0
		for ; i < len(nodes) && compareNodes(first, &nodes[i]) == 0; i++ {
			copies += nodes[i].copies
		}
		for copies > 0 {
			same, expected, worth := s.roomLeft(first, copies, waiting)
			plan.WorthMicroUSDPerHour += worth * int64(same)
			plan.Nodes = append(plan.Nodes, Node{
				Copies: same, Offerings: s.choices(first, expected, same, &led), Contents: slices.Clone(first.contents), Expected: expected,
			})
			copies -= same
		}
	}
	return plan
}

// inOrder answers the nodes by offering and contents.
func inOrder(nodes []bought) []bought {
	return slices.SortedStableFunc(slices.Values(nodes), func(a, b bought) int { return compareNodes(&a, &b) })
}

func compareNodes(a, b *bought) int {
	return cmp.Or(cmp.Compare(a.offering, b.offering), slices.CompareFunc(a.contents, b.contents, func(x, y Content) int {
		return cmp.Or(cmp.Compare(x.Demand, y.Demand), cmp.Compare(x.Count, y.Count))
	}))
}

// choices answers the offering of a node and those that may stand in for it, cheapest first, as far as the limits bear the dearest charge
// among them: the ledger is debited with what the stand-ins charge beyond the first. Stock is booked for the first choice alone.
func (s *solver) choices(b *bought, expected []Content, copies int, led *ledger) []int {
	chosen := []int{b.offering}
	if s.pol.MaxChoices == 1 {
		return chosen
	}
	first := &s.p.Offerings[b.offering]
	var able []int
	for i := range s.p.Offerings {
		if i != b.offering && s.standsIn(b, expected, i, led) {
			able = append(able, i)
		}
	}
	slices.SortFunc(able, func(x, y int) int {
		return cmp.Or(cmp.Compare(s.p.Offerings[x].PriceMicroUSDPerHour, s.p.Offerings[y].PriceMicroUSDPerHour), cmp.Compare(x, y))
	})
	debit := make([]int64, len(s.p.Limits))
	for _, c := range first.Charges {
		debit[c.Limit] = c.Amount
	}
	for _, i := range able {
		if len(chosen) == s.pol.MaxChoices {
			break
		}
		if bears(led, s.p.Offerings[i].Charges, debit, copies) {
			chosen = append(chosen, i)
		}
	}
	return chosen
}

// standsIn tells whether an offering may be bought instead of the first choice, limits aside.
func (s *solver) standsIn(b *bought, expected []Content, i int, led *ledger) bool {
	first, o := &s.p.Offerings[b.offering], &s.p.Offerings[i]
	if o.Group != first.Group || o.Tier != first.Tier || o.Closed != Open || led.stock[i] == 0 || !s.tolerable(first, o) {
		return false
	}
	need := make(Vector, len(s.p.Resources))
	for _, c := range slices.Concat(b.contents, expected) {
		d := &s.p.Demands[c.Demand]
		if !d.Levels[s.levelOf(c.Demand, b.offering)].Offerings.Has(i) {
			return false
		}
		need = minus(need, d.Size, -c.Count)
	}
	return fits(need, s.p.Shapes[o.Shape].Capacity)
}

// tolerable tells whether the price of o is at most the tolerated part above the first's.
func (s *solver) tolerable(first, o *Offering) bool {
	p := first.PriceMicroUSDPerHour
	return o.PriceMicroUSDPerHour <= p+p*int64(s.pol.ToleranceMilli)/1000
}

// bears raises the debit per node to cover the charges, if the ledger has room for the difference on every copy.
func bears(led *ledger, charges []Charge, debit []int64, copies int) bool {
	for _, c := range charges {
		if more := c.Amount - debit[c.Limit]; more > 0 && more > max(0, led.room[c.Limit])/int64(copies) {
			return false
		}
	}
	for _, c := range charges {
		if more := c.Amount - debit[c.Limit]; more > 0 {
			led.room[c.Limit] -= more * int64(copies)
			debit[c.Limit] = c.Amount
		}
	}
	return true
}
