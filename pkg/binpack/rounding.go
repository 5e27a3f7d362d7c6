package binpack

import (
	"cmp"
	"slices"
)

// mostRows is the most items that columns are generated for: the master's inverse has the square of it.
const mostRows = 1024

// almostWhole is how far from a whole number a basic column is taken for it, and from 0 for nothing: several times what the master's need is perturbed by.
const almostWhole = 1e-5

// packable answers the job without the items that no candidate may hold.
func (j *job) packable(left []int) (*job, []int) {
	counts := slices.Clone(left)
	for i := range counts {
		if !slices.ContainsFunc(j.cands, func(c candidate) bool { return c.allowed.Has(i) }) {
			counts[i] = 0
		}
	}
	return j.shrunk(counts)
}

// generate packs a job by column generation, rounded in a few ways: the whole copies of the master's columns, and then greedy with the
// duals for values, from several depths of a dive.
func (s *solver) generate(st *state, j *job, left []int, try func(func([]int, *ledger) []purchase) []purchase) {
	if len(j.items) > mostRows {
		return
	}
	budget := s.steps
	g := s.gen
	if g == nil || !g.goesOn(j, left) {
		g = s.newGenerator(j, left)
		s.gen = g
	}
	g.p.thorough = s.steps > stepsFirst
	g.run(budget / 2)
	values := make([]int64, len(j.items))
	for i, y := range g.m.y {
		values[i] = max(1, int64(max(0, y)*valueScale))
	}
	d := &dive{generator: g, left: slices.Clone(left), led: st.ledger.clone()}
	complete := func() {
		try(func(left []int, led *ledger) []purchase {
			copy(left, d.left)
			*led = d.led.clone()
			return append(slices.Clone(d.out), s.greedy(j, values, left, led)...)
		})
	}
	before := g.m.snapshot()
	d.floor()
	complete()
	for last := d.pods(); last > 0 && s.steps > budget*2/5 && d.deeper(budget*2/5); {
		if now := d.pods(); now*4 <= last*3 {
			last = now
			complete()
		}
	}
	complete()
	g.m.restore(before)
}

// dive turns the master's solution into purchases: whole copies are bought, then the column that is nearest to one more whole copy is, and
// the master is solved again for what is left.
type dive struct {
	*generator
	out   []purchase
	left  []int // used up
	led   ledger
	flows []flow // of the master's solution, less what was bought since
}

func (d *dive) pods() (n int) {
	for _, l := range d.left {
		n += l
	}
	return n
}

// deeper buys at least one copy of some column; it answers false if it cannot.
func (d *dive) deeper(until int) bool {
	need := make([]float64, len(d.left))
	for i, n := range d.left {
		need[i] = float64(n)
	}
	before := d.m.work
	ok := d.m.demandAgain(need, (d.s.steps-until)*workPerStep)
	d.s.steps -= (d.m.work-before)/workPerStep + 1
	return ok && (d.floor() || d.roundUp())
}

// floor buys the whole copies of the master's columns.
func (d *dive) floor() (any bool) {
	d.flows = d.m.flows(d.flows)
	for i, b := range d.m.basis {
		if n := int(d.m.x[i] + almostWhole); b >= 0 && n > 0 && !d.m.cols[b].exchange() {
			any = d.buy(b, n) || any
		}
	}
	return any
}

// roundUp buys one copy of each column that is nearly whole, or of the one that is nearest to it, as long as nothing of it stays empty.
func (d *dive) roundUp() (any bool) {
	d.flows = d.m.flows(d.flows)
	order := []int{}
	for i, b := range d.m.basis {
		if b >= 0 && d.m.x[i] > almostWhole && !d.m.cols[b].exchange() {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(d.m.x[b], d.m.x[a]), cmp.Compare(d.m.basis[a], d.m.basis[b]))
	})
	for _, i := range order {
		if any && d.m.x[i] < 0.8 {
			break
		}
		any = d.buy(d.m.basis[i], 1) || any
	}
	return any
}

// buy adds copies of a column as far as there are stock and limits for them, and pods, or others that may stand in for those. A copy that
// would stay empty in part is not bought.
func (d *dive) buy(b, copies int) (any bool) {
	col := &d.m.cols[b]
	at := d.j.cands[col.cand].offering
	o := &d.s.p.Offerings[at]
	for copies > 0 {
		parts, n := d.filled(col.parts)
		if n = d.led.afford(o, at, min(n, copies)); n == 0 {
			return any
		}
		d.led.spend(o, at, n)
		for _, p := range parts {
			d.left[p.item] -= p.count * n
		}
		for e := range d.flows {
			d.flows[e].amount -= float64(d.flows[e].used * n)
		}
		d.out = append(d.out, purchase{cand: col.cand, copies: n, parts: parts})
		copies, any = copies-n, true
	}
	return any
}
