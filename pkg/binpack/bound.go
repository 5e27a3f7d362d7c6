package binpack

import (
	"cmp"
	"math/big"
	"slices"
)

// lowerBound proves what the new nodes of any plan cost at the least that serves what st serves: Plan.LowerBoundMicroUSDPerHour says which
// plans. With w the worths of a proof, u and c the upper bound and the price of the candidate where u/c is the largest, and n the pods
// that st serves, on bins and on new nodes:
//
//	a new node of candidate t holds pods worth at most u_t <= c_t·u/c, bin b pods worth at most u_b, and all pods are worth Σ w·n.
//	So u/c · cost + Σ u_b >= Σ w·n, or cost >= (Σ w·n - Σ u_b) · c/u.
//
// It holds for any worths >= 0: column generation only finds good ones. Worths, upper bounds and the sums are integers.
func (s *solver) lowerBound(st *state) int64 {
	b := s.newBounded(st)
	if len(b.job.items) == 0 || len(b.job.items) > mostRows {
		return 0
	}
	b.collect()
	g := s.gen
	if g == nil || !b.covered(g.j) {
		g = s.newGenerator(b.job, b.counts)
		s.gen = g
	}
	g.prove(0)
	return b.proven(st, g)
}

// bounded is what a lower bound is for.
type bounded struct {
	s      *solver
	served []int // by Demand
	worst  []standing
	job    *job // what st put onto new nodes, with every candidate that may be bought instead
	counts []int
}

// standing is how far down its levels and the tiers a demand has to go. The zero value: not at all.
type standing struct{ level, tier int }

func (a standing) below(b standing) bool {
	return cmp.Or(cmp.Compare(a.level, b.level), cmp.Compare(a.tier, b.tier)) > 0
}

func (s *solver) newBounded(st *state) *bounded {
	b := &bounded{s: s, served: make([]int, len(s.p.Demands)), worst: make([]standing, len(s.p.Demands))}
	bought := make([]int, len(s.p.Demands))
	for i := range st.nodes {
		node := &st.nodes[i]
		for _, c := range node.contents {
			at := standing{s.levelOf(c.Demand, node.offering), s.p.Offerings[node.offering].Tier}
			if bought[c.Demand] == 0 || at.below(b.worst[c.Demand]) {
				b.worst[c.Demand] = at
			}
			bought[c.Demand] += c.Count * node.copies
		}
	}
	b.job = &job{}
	for d := range s.p.Demands {
		if !s.p.Demands[d].expected() {
			b.served[d] = s.p.Demands[d].Count - st.left[d]
		}
		if bought[d] > 0 {
			b.job.items = append(b.job.items, item{demand: d, size: s.p.Demands[d].Size, most: perNode(&s.p.Demands[d])})
			b.counts = append(b.counts, bought[d])
		}
	}
	b.job.apart = s.apartItems(b.job.items)
	return b
}

// collect finds every candidate that one node may be bought of, but for those that another one beats on price, capacity and allowed items.
func (b *bounded) collect() {
	all, start := []candidate{}, b.s.start().ledger
	for i := range b.s.p.Offerings {
		o := &b.s.p.Offerings[i]
		if o.Closed != Open || start.afford(o, i, 1) == 0 {
			continue
		}
		c := candidate{offering: i, price: max(1, o.PriceMicroUSDPerHour), capacity: b.s.p.Shapes[o.Shape].Capacity, allowed: NewSet(len(b.job.items))}
		some := false
		for k := range b.job.items {
			if b.may(b.job.items[k].demand, i) && fits(b.job.items[k].size, c.capacity) {
				c.allowed.Add(k)
				some = true
			}
		}
		if some {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(x, y candidate) int {
		return cmp.Compare(b.s.p.Offerings[x.offering].PriceMicroUSDPerHour, b.s.p.Offerings[y.offering].PriceMicroUSDPerHour)
	})
	for i := range all {
		if !slices.ContainsFunc(b.job.cands, func(kept candidate) bool {
			return fits(all[i].capacity, kept.capacity) && all[i].allowed.within(kept.allowed)
		}) {
			b.job.cands = append(b.job.cands, all[i])
		}
	}
}

// may tells whether the demand may use the offering without going further down than st does.
func (b *bounded) may(d, offering int) bool {
	level := b.s.levelOf(d, offering)
	return level >= 0 && !standing{level, b.s.p.Offerings[offering].Tier}.below(b.worst[d])
}

// covered tells whether a proof for the job j is one for this: its items are all here, and each candidate is one of j's or beaten by one.
func (b *bounded) covered(j *job) bool {
	at := make([]int, len(b.s.p.Demands))
	for d := range at {
		at[d] = -1
	}
	for i := range j.items {
		at[j.items[i].demand] = i
	}
	if slices.ContainsFunc(b.job.items, func(it item) bool { return at[it.demand] < 0 }) {
		return false
	}
	for c := range b.job.cands {
		cand := &b.job.cands[c]
		price := b.s.p.Offerings[cand.offering].PriceMicroUSDPerHour
		if !slices.ContainsFunc(j.cands, func(k candidate) bool {
			if b.s.p.Offerings[k.offering].PriceMicroUSDPerHour > price || !fits(cand.capacity, k.capacity) {
				return false
			}
			for i := range b.job.items {
				if cand.allowed.Has(i) && !k.allowed.Has(at[b.job.items[i].demand]) {
					return false
				}
			}
			return true
		}) {
			return false
		}
	}
	return true
}

// prove looks for better worths, with steps left until that many.
func (g *generator) prove(until int) {
	g.relaxed, g.nodes, g.slack, g.smooth = true, nodesFirst, 2*slackLast, smoothing
	if g.s.steps > until {
		g.run(until)
	}
	if g.s.steps <= 0 {
		g.nodes = 0
		if g.coarse != nil {
			g.coarse.m.solve(firstProof)
			g.adopt()
			g.coarse = nil
			g.certify(0, nil)
		}
		g.m.solve(firstProof)
		g.certify(0, nil)
	}
}

// firstProof is the work on the master that even a first answer's bound is worth.
const firstProof = 1_000_000

// proven evaluates the proof.
func (b *bounded) proven(st *state, g *generator) int64 {
	if g.best.upper <= 0 {
		return 0
	}
	sum := new(big.Int)
	add := func(w int64, n int) { sum.Add(sum, new(big.Int).Mul(big.NewInt(w), big.NewInt(int64(n)))) }
	for i := range g.j.items {
		add(g.best.worth[i], b.served[g.j.items[i].demand])
	}
	for bin := range b.s.p.Bins {
		add(b.onBin(st, g, bin), -1)
	}
	if sum.Sign() <= 0 {
		return 0
	}
	sum.Mul(sum, big.NewInt(g.best.price))
	sum.Quo(sum, new(big.Int).Mul(big.NewInt(g.best.upper), big.NewInt(g.best.scale)))
	return sum.Int64()
}

// onBin answers what no contents of a bin are worth more than.
func (b *bounded) onBin(st *state, g *generator, bin int) int64 {
	p := &b.s.sack
	c := candidate{capacity: b.s.p.Bins[bin].Free, allowed: NewSet(len(g.j.items))}
	target, any := int64(0), false
	for i := range g.j.items {
		d := g.j.items[i].demand
		if fits(g.j.items[i].size, c.capacity) && slices.ContainsFunc(b.s.p.Demands[d].Levels, func(l Level) bool { return l.Bins.Has(bin) }) {
			c.allowed.Add(i)
			any = true
		}
		target += g.best.worth[i] * int64(held(st.fills[bin], d))
	}
	if !any {
		return 0
	}
	_, _, upper := p.single(b.s, g.j, &c, g.best.worth, g.p.left, target, nodesFirst)
	return upper
}
