package plan

import (
	"cmp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/topology"
)

// search looks for what would have served a held demand, and for what could have been bought instead of what is. It sees what the decision
// leaves of stock and limits, claims debited with the most that their choices take, as the next decision will see it.
type search struct {
	g       *growth
	p       *binpack.Problem
	left    binpack.Remains
	byPrice []int                  // the offers, in the order of tier, price, key
	granted map[string]binpack.Set // the offers that satisfy a requirement, by its text
	sold    map[*Offering]int      // what the plan takes of each offering
	// excluded is what requirements keep off; nil as long as nobody has asked.
	excluded *excluded
}

// newSearch looks at the world after a plan; specs are those of the claims for its nodes.
func newSearch(g *growth, p *binpack.Problem, solved *binpack.Plan, specs []v1alpha1.NodeClaimSpec) *search {
	s := &search{g: g, p: p, granted: map[string]binpack.Set{}, sold: map[*Offering]int{}} // the pools' offers of one offering share its stock
	for _, l := range p.Limits {
		s.left.Room = append(s.left.Room, l.Remaining)
	}
	for i := range p.Offerings {
		s.left.Stock = append(s.left.Stock, p.Offerings[i].Stock)
		s.byPrice = append(s.byPrice, i)
	}
	for _, n := range solved.Nodes {
		s.sold[g.offers[n.Offerings[0]].source] += n.Copies
	}
	for i := range s.left.Stock {
		if s.left.Stock[i] > 0 {
			s.left.Stock[i] = max(0, s.left.Stock[i]-s.sold[g.offers[i].source])
		}
	}
	for n := range specs {
		for i, l := range g.limits {
			if l.provisioner == specs[n].Provisioner {
				s.left.Room[i] -= int64(solved.Nodes[n].Copies) * amount(l.resource, specs[n].Debit[l.resource])
			}
		}
	}
	slices.SortFunc(s.byPrice, func(a, b int) int {
		x, y := &p.Offerings[a], &p.Offerings[b]
		return cmp.Or(cmp.Compare(x.Tier, y.Tier), cmp.Compare(x.PriceMicroUSDPerHour, y.PriceMicroUSDPerHour), cmp.Compare(x.Name, y.Name))
	})
	return s
}

// obstacles answers how many obstacles each offer has for pods of a size, and how many of those are none that time will take away by itself:
// limits that have room once what is leaving has gone.
func (s *search) obstacles(size binpack.Vector) (count, lasting []int) {
	count, lasting = make([]int, len(s.p.Offerings)), make([]int, len(s.p.Offerings))
	for i := range s.p.Offerings {
		s.p.Obstacles(&s.left, size, i, func(r binpack.Reason, index int) {
			count[i]++
			if r != binpack.ReasonLimit || s.lacking(i, index) > s.g.limits[index].leaving {
				lasting[i]++
			}
		})
	}
	return count, lasting
}

// lacking is how much a limit is short of for one node of an offering.
func (s *search) lacking(offering, limit int) int64 {
	for _, c := range s.p.Offerings[offering].Charges {
		if c.Limit == limit {
			return c.Amount - s.left.Room[limit]
		}
	}
	return 0
}

// best answers the offer of a set with the fewest obstacles, the cheapest of those; -1: the set is empty.
func (s *search) best(of binpack.Set, obstacles []int) int {
	best := -1
	for _, i := range s.byPrice {
		if of.Has(i) && (best < 0 || obstacles[i] < obstacles[best]) {
			best = i
		}
	}
	return best
}

// leaving answers the best offer that is kept from a demand by nothing but limits that what is leaving still takes, and how many offers are.
func (s *search) leaving(of binpack.Set, count, lasting []int) (best, many int) {
	best = -1
	for _, i := range s.byPrice {
		if of.Has(i) && count[i] > 0 && lasting[i] == 0 {
			many++
			if best < 0 || count[i] < count[best] {
				best = i
			}
		}
	}
	return best, many
}

// reopening answers the offer of a set that has no obstacle but being closed and opens first, the cheapest of those that do at the same
// time; if all have other obstacles, one with the fewest; -1: nothing in the set is closed.
func (s *search) reopening(of binpack.Set, count []int) int {
	best := -1
	for _, i := range s.byPrice {
		o := s.g.offers[i].source
		if !of.Has(i) || count[i] == 0 || o.Closed == "" && o.Stock < 0 {
			continue
		}
		if best < 0 || cmp.Or(cmp.Compare(count[i], count[best]), o.Until.Compare(s.g.offers[best].source.Until)) < 0 {
			best = i
		}
	}
	return best
}

// miss describes an offer with everything that stands between it and pods of a size, and what they would have to ask less for before.
func (s *search) miss(d *demand.Demand, size binpack.Vector, i int, by []relaxation) Miss {
	o := &s.g.offers[i]
	m := Miss{Provisioner: o.pool.provisioner.Object.Name, Offering: o.source.OfferingKey, PriceMicroUSDPerHour: o.source.PriceMicroUSDPerHour}
	for _, less := range by {
		if !less.taints {
			m.Changes = append(m.Changes, less.drop)
			continue
		}
		wanted := d.Select.Matcher()
		for t := range o.pool.taints {
			if !wanted.Tolerates(o.pool.taints[t : t+1]) {
				m.Changes = append(m.Changes, Change{Kind: Tolerate, Taint: &o.pool.taints[t]})
			}
		}
	}
	s.p.Obstacles(&s.left, size, i, func(r binpack.Reason, index int) {
		m.Changes = append(m.Changes, s.change(o, i, size, r, index))
	})
	if len(m.Changes) == 0 {
		m.Changes = []Change{{Kind: Drop, Field: FieldNeighbours}} // nothing else keeps the pods off it
	}
	return m
}

// change is what would take an obstacle away.
func (s *search) change(o *offer, i int, size binpack.Vector, r binpack.Reason, index int) Change {
	switch r {
	case binpack.ReasonNoShape:
		name := corev1.ResourceName(s.p.Resources[index])
		return Change{Kind: AskLess, Resource: name, Need: size[index], Have: max(0, s.g.capacity(o)[name])}
	case binpack.ReasonLimit:
		l := s.g.limits[index]
		return Change{Kind: RaiseLimit, Provisioner: l.provisioner, Resource: l.resource, Need: l.ceiling + s.lacking(i, index), Have: l.ceiling,
			Used: l.ceiling - s.left.Room[index]}
	default:
		c := Change{Kind: Reopen, Reason: heldReason[r]}
		if o.source.Until.After(s.g.view.Now) {
			c.Until = o.source.Until
		}
		return c
	}
}

// gone turns the limits of a miss into the leaving of what takes them.
func (s *search) gone(m Miss) Miss {
	m.Changes = slices.Clone(m.Changes)
	for i := range m.Changes {
		c := &m.Changes[i]
		c.Kind = Leave
		c.Claims, c.Until = s.g.leavingClaims(c.Provisioner, c.Resource)
	}
	return m
}

// leavingClaims names the claims that are leaving and take something of a limit, the first maxNamed of them, and by when the last will be
// gone; zero if one has no deadline.
func (g *growth) leavingClaims(provisioner string, resource corev1.ResourceName) (names []string, until time.Time) {
	open := false
	for i := range g.view.Claims {
		c := &g.view.Claims[i]
		if !c.Leaving || c.Object.Spec.Provisioner != provisioner || amount(resource, c.Object.DebitOf()[resource]) == 0 {
			continue
		}
		if len(names) < maxNamed {
			names = append(names, c.Object.Name)
		}
		if r := c.Object.Status.Retire; r == nil || r.Deadline == nil {
			open = true
		} else if r.Deadline.After(until) {
			until = r.Deadline.Time
		}
	}
	if open {
		until = time.Time{}
	}
	return names, until
}

// nearest answers the misses of held pods, the nearest first, at most three, and the one reason: a limit that has room once what is
// leaving has gone is no limit that somebody has to raise. many is how many offers wait for nothing else.
func (s *search) nearest(k *stuck) (misses []Miss, reason v1alpha1.Reason, many int) {
	count, lasting := s.obstacles(k.size)
	reason = heldReason[k.why.Reason]
	switch k.why.Reason {
	case binpack.ReasonLimit:
		at, n := s.leaving(k.open, count, lasting)
		if at >= 0 {
			miss := s.miss(k.demand, k.size, at, nil)
			return []Miss{s.gone(miss), miss}, v1alpha1.HeldDraining, n
		}
		if k.why.Nearest >= 0 {
			misses = append(misses, s.miss(k.demand, k.size, k.why.Nearest, nil))
		}
	case binpack.ReasonNoShape:
		if k.why.Nearest >= 0 {
			m := s.miss(k.demand, k.size, k.why.Nearest, nil)
			if k.lacking = m.lacking(); len(k.lacking) == 0 {
				misses = append(misses, m)
			}
		}
	case binpack.ReasonStockout, binpack.ReasonQuota, binpack.ReasonOutage:
		if at := s.reopening(k.open, count); at >= 0 {
			misses = append(misses, s.miss(k.demand, k.size, at, nil))
		}
	}
	return append(misses, s.otherwise(k.demand, k.item, k.takes, reason)...), reason, 0
}

// otherwise answers what one pod of a demand would get if it asked for less, or if a Provisioner allowed more. What pods that ask nothing of the
// domains of others are offered is where these let it go; others are offered what they would get without asking that.
func (s *search) otherwise(d *demand.Demand, it *item, takes func(map[string]string) bool, reason v1alpha1.Reason) (misses []Miss) {
	size, anything := vector(d.Requests, s.g.names), reason == v1alpha1.HeldConstraint
	lets := func(o *offer) bool { return (takes == nil || takes(o.labels)) && s.g.lets(d, o) }
	miss, found := Miss{}, false
	if alone(d) && takes == nil {
		miss, found = s.elsewhere(d, size, lets, anything)
	}
	if !found && s.g.neighbourly {
		miss, found = s.unbound(d, size, anything)
	}
	if found {
		misses = append(misses, miss)
	}
	if helps, anything := widens(reason); helps && it != nil && it.single() && (takes != nil || alone(d)) {
		if m, found := s.allowed(d, size, lets, anything); found {
			misses = append(misses, m)
		}
	}
	return misses
}

// single tells whether an item is one pod.
func (it *item) single() bool {
	return len(it.shares) == 1 && it.shares[0].Pods == 1 && it.holding == ""
}

// alone tells whether a demand does not care in which domains other pods are: a new node is a domain of its own.
func alone(d *demand.Demand) bool {
	n := &d.Neighbours
	cares := func(t demand.Term) bool { return t.TopologyKey != topology.Hostname }
	return len(n.Near) == 0 && !slices.ContainsFunc(n.Apart, cares) &&
		!slices.ContainsFunc(n.Spread, func(s demand.Spread) bool { return !s.Soft && cares(s.Term) })
}

// lets tells whether the pods that run, and those of DaemonSets, let a pod of a demand onto a new node of an offer.
func (g *growth) lets(d *demand.Demand, o *offer) bool {
	n := &d.Neighbours
	return !g.neighbourly || !g.places.world.KeepsOff(o.labels, n.Chosen) && !g.daemonRepels(o.labels, o.pool.taints, n) &&
		!topology.PortsClash(g.daemonPorts(o.labels, o.pool.taints), n.Ports)
}

// elsewhere answers the best offer that the demand does not accept, and what it would have to ask less for: the fewest changes, then the
// cheapest. Unless nothing is accepted at all, only an offer that could be bought at once is worth the mention.
func (s *search) elsewhere(d *demand.Demand, size binpack.Vector, lets func(*offer) bool, anything bool) (Miss, bool) {
	allowed := s.everything()
	for i := range s.g.offers {
		if !lets(&s.g.offers[i]) {
			allowed[i/64] &^= 1 << (i % 64)
		}
	}
	return s.relax(d, size, anything, func(f func(binpack.Set, []relaxation)) {
		s.relaxed(s.asks(&d.Select), anything, func(granted binpack.Set, less []relaxation) { f(within(granted, allowed), less) })
	})
}

// unbound does so for a pod that asks nothing of its neighbours, nor they of it.
func (s *search) unbound(d *demand.Demand, size binpack.Vector, anything bool) (Miss, bool) {
	free := relaxation{drop: Change{Kind: Drop, Field: FieldNeighbours}}
	return s.relax(d, size, anything, func(f func(binpack.Set, []relaxation)) {
		all := s.everything()
		asks := s.asks(&d.Select)
		for _, a := range asks {
			intersect(all, a.granted)
		}
		f(all, []relaxation{free})
		s.relaxed(asks, anything, func(granted binpack.Set, less []relaxation) { f(granted, slices.Concat(less, []relaxation{free})) })
	})
}

// relax answers the best offer of the sets that each calls with, and by what.
func (s *search) relax(d *demand.Demand, size binpack.Vector, anything bool, each func(func(granted binpack.Set, less []relaxation))) (Miss, bool) {
	if len(s.g.offers) == 0 {
		return Miss{}, false
	}
	count, _ := s.obstacles(size)
	best, least, by := -1, 0, []relaxation(nil)
	each(func(granted binpack.Set, less []relaxation) {
		i := s.best(granted, count)
		if i < 0 || !anything && count[i] > 0 {
			return
		}
		changes := count[i] + len(less)
		if best < 0 || cmp.Or(cmp.Compare(changes, least), cmp.Compare(s.p.Offerings[i].Tier, s.p.Offerings[best].Tier),
			cmp.Compare(s.p.Offerings[i].PriceMicroUSDPerHour, s.p.Offerings[best].PriceMicroUSDPerHour)) < 0 {
			best, least, by = i, changes, less
		}
	})
	if best < 0 {
		return Miss{}, false
	}
	return s.miss(d, size, best, by), true
}
