package binpack

import (
	"math"
	"slices"
)

const (
	shareGrain  = 1 << 20 // shares of a capacity are in 1/shareGrain, rounded down
	manyPerNode = 16      // a relaxed node with more pods than this is filled by rounding, not by search
	mostWorth   = 1 << 40 // the largest worth of a pod while pricing, so that what a million pods are worth stays far below 2^63
	mostBound   = 1 << 61 // a bound that is not one
)

// form is a shape as the items of a job see it: what fits, how often, and which shares of the capacity it takes.
type form struct {
	capacity Vector
	rows     int   // GPU units of the capacity that the bound counts exactly; 0: the GPU is a resource like any other
	dims     []int // resources that some item asks for, without the GPU if rows counts it
	items    []int // those that fit at least once
	most     []int // by position in items: the most of it on one node
	units    []int // GPU units it takes, rounded down
	share    []int64
	prices   []float64 // of its resources, as parts of a target: those that the last search on a grid ended with
}

// pricer finds, for given worths of the items, contents of a candidate that are worth more than a target, and proves an upper bound on what
// any contents can be worth. All of it is on integers but for the choice of multipliers, and any multipliers >= 0 give a valid bound:
//
//	max Σ w·a  <=  Σ_d λ_d + max { Σ (w_i - Σ_d λ_d·share_id)·a_i : GPU units of a <= GPU units of the node, a_i <= most_i }
//
// the Lagrangian relaxation of every resource but the GPU, whose right side is a dynamic programme over the GPU units. The multipliers are
// the dual solution of the knapsack's linear relaxation. The search for contents is depth first and cuts where this bound, which knows
// the cpu and the memory that are free exactly and not on a grid, does not beat the best.
type pricer struct {
	s      *solver
	j      *job
	left   []int     // by item: how many there are; may change between calls
	worth  []int64   // by item, <= mostWorth
	forms  []*form   // by candidate
	lambda [][]int64 // by candidate: the last multipliers, by position in form.dims
	rates  []float64 // by resource: the last multipliers, for a unit
	relax  relaxation
	own    form // of a single knapsack
	zero   []int64

	at      []int   // positions in the form of the items that count now
	most    []int   // of each of at
	reduced []int64 // of each of at: worth less what its shares cost
	row     []int64 // the dynamic programme at the root
	search  search
	root    int64 // what bound answered last
	loose   bool  // the search was cut short
	// thorough: search again, with a better bound, where a search was cut short
	thorough bool
}

func (s *solver) newPricer(j *job, left []int) *pricer {
	return &pricer{s: s, j: j, left: left, forms: make([]*form, len(j.cands)), lambda: make([][]int64, len(j.cands))}
}

// knapsack answers the most valuable contents of one candidate that it finds, and their value.
func (s *solver) knapsack(j *job, c *candidate, values []int64, left []int) ([]part, int64) {
	parts, value, _ := s.sack.single(s, j, c, values, left, 0, knapsackNodes)
	return parts, value
}

// single is price for a candidate that is looked at once.
func (p *pricer) single(s *solver, j *job, c *candidate, worth []int64, left []int, target int64, nodes int) (parts []part, value, upper int64) {
	p.s, p.j, p.left, p.worth = s, j, left, worth
	p.shape(&p.own, c.capacity)
	p.zero = resized(p.zero, len(p.own.dims))
	return p.fill(&p.own, c.allowed, &p.zero, target, nodes)
}

// formOf answers the form of a candidate, which those of the same shape share.
func (p *pricer) formOf(c int) *form {
	if p.forms[c] != nil {
		return p.forms[c]
	}
	capacity := p.j.cands[c].capacity
	for other, f := range p.forms {
		if f != nil && &p.j.cands[other].capacity[0] == &capacity[0] {
			p.forms[c] = f
			return f
		}
	}
	p.forms[c] = &form{}
	p.shape(p.forms[c], capacity)
	return p.forms[c]
}

// shape fills in a form. O(items x resources).
func (p *pricer) shape(f *form, capacity Vector) {
	f.capacity, f.rows, f.prices = capacity, 0, nil
	f.items, f.most, f.dims = f.items[:0], f.most[:0], f.dims[:0]
	gpu, unit := p.s.p.GPU, int64(0)
	if gpu >= 0 {
		unit = capacity[gpu]
	}
	for i := range p.j.items {
		it := &p.j.items[i]
		n := copiesIn(it.size, capacity, it.most)
		if n == 0 {
			continue
		}
		f.items, f.most = append(f.items, i), append(f.most, n)
		if gpu >= 0 {
			unit = gcd(unit, it.size[gpu])
		}
	}
	if unit > 0 && capacity[gpu]/unit <= mostGPUUnits {
		f.rows = int(capacity[gpu] / unit)
	}
	for d := range capacity {
		if (d != gpu || f.rows == 0) && slices.ContainsFunc(f.items, func(i int) bool { return p.j.items[i].size[d] > 0 }) {
			f.dims = append(f.dims, d)
		}
	}
	f.units, f.share = resized(f.units, len(f.items)), resized(f.share, len(f.items)*len(f.dims))
	for k, i := range f.items {
		size := p.j.items[i].size
		if f.rows > 0 {
			f.units[k] = int(size[gpu] / unit)
		}
		for n, d := range f.dims {
			f.share[k*len(f.dims)+n] = ratio(size[d], capacity[d], shareGrain)
		}
	}
	p.s.steps -= len(p.j.items) / 8
}

// price looks for contents of candidate c that are worth more than target, the more the better, in at most that many search nodes. parts is
// nil if it finds none. No contents at all are worth more than upper.
func (p *pricer) price(c int, target int64, nodes int) (parts []part, value, upper int64) {
	f := p.formOf(c)
	if p.lambda[c] == nil {
		p.lambda[c] = p.guess(f)
	}
	return p.fill(f, p.j.cands[c].allowed, &p.lambda[c], target, nodes)
}

// guess answers multipliers for a new candidate: what the resources cost on the last one that was relaxed. Prices are often nearly linear.
func (p *pricer) guess(f *form) []int64 {
	out := make([]int64, len(f.dims))
	for n, d := range f.dims {
		if p.rates != nil {
			out[n] = int64(min(p.rates[d]*float64(f.capacity[d]), float64(mostBound/shareGrain/int64(len(f.dims)))))
		}
	}
	return out
}

// fill is price for one form, with the multipliers to begin with, which it may replace.
func (p *pricer) fill(f *form, allowed Set, lambda *[]int64, target int64, nodes int) (parts []part, value, upper int64) {
	p.loose = false
	p.at, p.most = p.at[:0], p.most[:0]
	for k, i := range f.items {
		if p.worth[i] > 0 && p.left[i] > 0 && allowed.Has(i) {
			p.at, p.most = append(p.at, k), append(p.most, min(f.most[k], p.left[i]))
		}
	}
	if len(p.at) == 0 {
		return nil, 0, 0
	}
	p.s.steps -= 1 + len(p.at)/16
	if upper = p.bound(f, *lambda); upper <= target {
		return nil, 0, upper
	}
	p.relax.solve(p, f)
	p.s.steps -= p.relax.rounds * (1 + len(p.at)/24)
	next := p.relax.multipliers(len(f.dims))
	p.rates = resized(p.rates, len(f.capacity))
	for n, d := range f.dims {
		p.rates[d] = float64(next[n]) / float64(f.capacity[d])
	}
	if u := p.bound(f, next); u <= upper {
		*lambda, upper = next, u
	} else {
		p.bound(f, *lambda)
	}
	if upper <= target {
		return nil, 0, upper
	}
	if p.relax.pods > manyPerNode {
		p.loose = true
		if parts, value = p.roundDown(f); value <= target {
			parts = nil
		}
		return parts, value, upper
	}
	return p.seek(f, *lambda, target, upper, nodes)
}

// bound answers the Lagrangian bound and leaves the reduced worths and the root's dynamic programme behind. O(items x (resources + GPU²)).
func (p *pricer) bound(f *form, lambda []int64) int64 {
	p.reduced = p.reduced[:0]
	base := int64(0)
	for _, l := range lambda {
		base += l * shareGrain
	}
	p.row = resized(p.row, f.rows+1)
	for n, k := range p.at {
		w := p.worth[f.items[k]]
		for d, l := range lambda {
			w -= l * f.share[k*len(f.dims)+d]
		}
		p.reduced = append(p.reduced, w)
		if w <= 0 {
			continue
		}
		if f.units[k] == 0 {
			base = min(mostBound, base+w*int64(p.most[n]))
			continue
		}
		addBounded(p.row, p.row, f.units[k], p.most[n], w)
	}
	p.root = min(mostBound, base+p.row[f.rows])
	return p.root
}

// addBounded makes to[g] the best of from with up to most pods of that many units and worth each, within g units. to may be from.
func addBounded(to, from []int64, units, most int, w int64) {
	for g := len(to) - 1; g >= units; g-- {
		best := from[g]
		for n, at, sum := 1, g-units, w; n <= most && at >= 0; n, at, sum = n+1, at-units, sum+w {
			best = max(best, from[at]+sum)
		}
		to[g] = best
	}
	if &to[0] != &from[0] {
		copy(to[:min(units, len(to))], from)
	}
}

// roundDown fills a node that holds many pods: what the relaxation holds, rounded down, then as many as fit of each item, best first.
func (p *pricer) roundDown(f *form) (parts []part, value int64) {
	free := slices.Clone(f.capacity)
	counts := make([]int, len(p.at))
	put := func(n, copies int) {
		k := p.at[n]
		size := p.j.items[f.items[k]].size
		if copies = copiesIn(size, free, min(copies, p.most[n]-counts[n])); copies <= 0 || p.torn(f, n, counts) {
			return
		}
		for d, q := range size {
			free[d] -= q * int64(copies)
		}
		counts[n] += copies
		value += p.worth[f.items[k]] * int64(copies)
	}
	for n := range p.at {
		put(n, int(p.relax.amount[n]))
	}
	for _, n := range p.relax.byMerit() {
		put(n, math.MaxInt32)
	}
	for n, c := range counts {
		if c > 0 {
			parts = append(parts, part{item: f.items[p.at[n]], count: c})
		}
	}
	p.s.steps -= len(p.at) / 4
	return parts, value
}

// torn tells whether the n-th item must keep away from one that counts has.
func (p *pricer) torn(f *form, n int, counts []int) bool {
	if p.j.apart == nil {
		return false
	}
	for other, c := range counts {
		if c > 0 && p.j.clash(f.items[p.at[n]], f.items[p.at[other]]) {
			return true
		}
	}
	return false
}
