package binpack

import (
	"cmp"
	"slices"
)

const knapsackNodes = 256 // search nodes of one knapsack

// stepsFirst is the effort in columns that even the first answer takes: a few milliseconds.
const stepsFirst = 20_000

// DefaultSteps is the effort that Policy.Steps 0 stands for: on the GPU mixes that the benchmarks know, about a quarter of a second of an idle core.
const DefaultSteps = 2_500_000

// solver works on a canonical problem. It holds scratch memory; nothing in it outlives Solve.
type solver struct {
	p       Problem
	pol     Policy
	steps   int
	dearest int64   // price of the dearest offering
	mostGPU int64   // GPUs of the largest shape
	worth   []int64 // by Demand: the cheapest price per pod, in units of 1/valueScale; more than any of these if nothing can be bought for it
	alone   []bool  // by Demand: one pod of it could be placed if nothing else were
	apart   []Set   // by Demand: those that it must not share a node with, both ways; nil: no two
	skip    []bool  // by Demand: its gang can never be whole, or nobody waits
	sack    pricer  // scratch
	rooms   []room
	scale   scale
	dense   bool       // a job was crowded
	seen    []bought   // what greedy has bought in any try: columns to begin with
	gen     *generator // the last one
	expect  outlook
	fewRows int // programmes of more are begun with fewer rows
}

// Solve answers a plan for a well-formed problem (see Problem.Validate). The same problem gives the same plan, in whatever order its
// demands, offerings and bins are listed. The package comment says how it works, what it promises and what it does not.
func Solve(p Problem, pol Policy) Plan {
	c, back := canonical(p)
	return back.restore(newSolver(c, pol).solve())
}

// solve answers a plan for the canonical problem.
func (s *solver) solve() Plan {
	st := s.cheapestAttempt(s.start())
	reserve := s.reserve()
	s.steps -= reserve
	if s.dense {
		s.steps = 0 // a crowd's first fit is all there is to it, and one proof is as good as many here
	}
	bound := s.lowerBound(st)
	s.steps += reserve
	if !s.dense && s.cost(st) > bound {
		s.improve(st)
	}
	s.foresee(st)
	before := slices.Clone(st.left)
	s.leftovers(st)
	plan := s.plan(st)
	if !slices.Equal(before, st.left) {
		s.steps = 0
		bound = s.lowerBound(st)
	}
	plan.LowerBoundMicroUSDPerHour = bound
	return plan
}

// reserve answers the steps to keep for improving when a bound is looked for: most where the pods are few, for there rounding costs more than
// the bound is off; repacking a few of many nodes gains next to nothing when columns chose them.
func (s *solver) reserve() int {
	pods := 0
	for d := range s.p.Demands {
		pods += s.p.Demands[d].Count
	}
	if pods <= 500 {
		return max(0, s.steps*3/4)
	}
	return max(0, s.steps/16)
}

// newSolver prepares to solve a canonical problem.
func newSolver(p Problem, pol Policy) *solver {
	if pol.Steps <= 0 {
		pol.Steps = DefaultSteps
	}
	pol.MaxChoices = max(1, pol.MaxChoices)
	s := &solver{p: p, pol: pol, steps: pol.Steps, fewRows: fewRows, apart: symmetric(p.Demands), scale: newScale(&p)}
	for i := range p.Offerings {
		s.dearest = max(s.dearest, p.Offerings[i].PriceMicroUSDPerHour)
	}
	for i := range p.Shapes {
		if p.GPU >= 0 {
			s.mostGPU = max(s.mostGPU, p.Shapes[i].Capacity[p.GPU])
		}
	}
	start := s.start()
	s.judgeAlone(start)
	s.judgeWorth(start)
	s.expect = s.newOutlook(start)
	return s
}

// start is the state in which nothing is placed.
func (s *solver) start() *state {
	st := &state{
		ledger: ledger{room: make([]int64, len(s.p.Limits)), stock: make([]int, len(s.p.Offerings))},
		left:   make([]int, len(s.p.Demands)), fills: make([][]Content, len(s.p.Bins)), free: make([]Vector, len(s.p.Bins)),
	}
	for i := range s.p.Limits {
		st.room[i] = s.p.Limits[i].Remaining
	}
	for i := range s.p.Offerings {
		st.stock[i] = s.p.Offerings[i].Stock
	}
	for i := range s.p.Demands {
		if !s.p.Demands[i].expected() {
			st.left[i] = s.p.Demands[i].Count
		}
	}
	for i := range s.p.Bins {
		st.free[i] = s.p.Bins[i].Free
	}
	return st
}

// judgeAlone finds out which demands have a place at all, which gangs therefore cannot be whole, and for whom nobody waits.
func (s *solver) judgeAlone(st *state) {
	s.alone, s.skip = make([]bool, len(s.p.Demands)), make([]bool, len(s.p.Demands))
	broken := map[int]bool{}
	for d := range s.p.Demands {
		s.alone[d] = s.placeable(st, d)
		if gang := s.p.Demands[d].Gang; gang != 0 && !s.alone[d] {
			broken[gang] = true
		}
	}
	for d := range s.p.Demands {
		s.skip[d] = broken[s.p.Demands[d].Gang] || s.p.Demands[d].expected()
	}
}

// judgeWorth finds out what a place on a bin saves each demand.
func (s *solver) judgeWorth(st *state) {
	s.worth = make([]int64, len(s.p.Demands))
	if len(s.p.Bins) == 0 {
		return
	}
	most := int64(1)
	for d := range s.p.Demands {
		demand := &s.p.Demands[d]
		if s.skip[d] {
			continue
		}
		for i := range s.p.Offerings {
			o := &s.p.Offerings[i]
			n := copiesIn(demand.Size, s.p.Shapes[o.Shape].Capacity, min(demand.Count, perNode(demand)))
			if n == 0 || o.Closed != Open || s.levelOf(d, i) < 0 || st.afford(o, i, 1) == 0 {
				continue
			}
			if w := max(1, o.PriceMicroUSDPerHour*valueScale/int64(n)); s.worth[d] == 0 || w < s.worth[d] {
				s.worth[d] = w
			}
		}
		most = max(most, s.worth[d])
	}
	for d := range s.worth {
		if s.worth[d] == 0 {
			s.worth[d] = 8 * most
		}
	}
}

// placeable tells whether one more pod of the demand fits onto a bin, a new node or an offering that may still be bought.
func (s *solver) placeable(st *state, d int) bool {
	demand := &s.p.Demands[d]
	for level := range demand.Levels {
		for b := range st.free {
			if _, ok := s.roomFor(d, b, st.free[b], st.fills[b], 1); ok && demand.Levels[level].Bins.Has(b) {
				return true
			}
		}
	}
	for i := range st.nodes {
		if s.levelOf(d, st.nodes[i].offering) >= 0 {
			if _, ok := s.roomFor(d, i, st.nodes[i].free, st.nodes[i].contents, 1); ok {
				return true
			}
		}
	}
	for i := range s.p.Offerings {
		o := &s.p.Offerings[i]
		if s.levelOf(d, i) >= 0 && o.Closed == Open && fits(demand.Size, s.p.Shapes[o.Shape].Capacity) && st.afford(o, i, 1) > 0 {
			return true
		}
	}
	return false
}

// pack places as many pods of the demands as bins, new nodes and what may be bought allow: bins, then room on new nodes, then for each
// level, for each tier, purchases. After it, no pod of the demands that is left fits anywhere.
func (s *solver) pack(st *state, demands []int, a attempt) {
	if a.byWorth {
		s.fillByWorth(st, demands)
	}
	s.fillBins(st, demands)
	s.topUp(st, demands)
	levels := 0
	for _, d := range demands {
		levels = max(levels, len(s.p.Demands[d].Levels))
	}
	tiers := s.tiers()
	for level := range levels {
		for _, tier := range tiers {
			if items := s.itemsAt(st, demands, level); len(items) > 0 {
				s.buy(st, s.newJob(items, tier, &st.ledger, a.scarce), a)
				s.topUp(st, demands)
			}
		}
	}
}

func (s *solver) tiers() []int {
	tiers := make([]int, len(s.p.Offerings))
	for i := range s.p.Offerings {
		tiers[i] = s.p.Offerings[i].Tier
	}
	slices.Sort(tiers)
	return slices.Compact(tiers)
}

func (s *solver) itemsAt(st *state, demands []int, level int) []item {
	var items []item
	for _, d := range demands {
		if demand := &s.p.Demands[d]; st.left[d] > 0 && level < len(demand.Levels) {
			items = append(items, item{demand: d, level: level, size: demand.Size, most: perNode(demand)})
		}
	}
	return items
}

// refinements is how often greedy runs again with values that it learnt from its own purchases.
const refinements = 1

// buy packs a job in a few ways and keeps the best: greedy with a few ideas of what a place is worth, and first fit, so that a plan is
// never dearer than that baseline.
func (s *solver) buy(st *state, j *job, a attempt) {
	if len(j.cands) == 0 {
		return
	}
	left := make([]int, len(j.items))
	for i := range j.items {
		left[i] = st.left[j.items[i].demand]
	}
	j, left = j.packable(left)
	crowded := s.crowded(j)
	if !crowded {
		j = j.shortlisted(left)
	}
	var chosen *state
	try := func(way func([]int, *ledger) []purchase) []purchase {
		next := st.clone()
		purchases := way(slices.Clone(left), &next.ledger)
		s.apply(next, j, purchases)
		s.seen = append(s.seen, next.nodes[len(st.nodes):]...)
		if chosen == nil || s.compare(next, chosen) > 0 {
			chosen = next
		}
		return purchases
	}
	if a.columns {
		chosen = st.clone()
		s.generate(st, j, left, try)
		*st = *chosen
		return
	}
	greedy := func(values []int64) []purchase {
		return try(func(left []int, led *ledger) []purchase { return s.greedy(j, values, left, led) })
	}
	try(func(left []int, led *ledger) []purchase { return s.firstFit(j, s.largestFirst(j), left, led) })
	if crowded {
		s.dense = true
		*st = *chosen
		return
	}
	values := j.values(left, true)
	purchases := greedy(values)
	for range refinements {
		values = j.refined(values, purchases)
		purchases = greedy(values)
	}
	*st = *chosen
}

// crowdedItems is how many items a job may have before nodes with many pods are packed by first fit alone.
const crowdedItems = 512

// crowded tells whether a job has so many items, most of which the largest candidate holds so often, that pricing each node by itself takes
// seconds. Small pods pack well in any order: there first fit costs 3 % more than greedy (Karpenter's diverse pods, 5,000 of 2,740 items).
func (s *solver) crowded(j *job) bool {
	if len(j.items) <= crowdedItems {
		return false
	}
	largest := slices.MaxFunc(j.cands, func(a, b candidate) int { return cmp.Compare(a.price, b.price) })
	small := 0
	for i := range j.items {
		if copiesIn(j.items[i].size, largest.capacity, manyPerNode+1) > manyPerNode {
			small++
		}
	}
	return small > len(j.items)/2
}

// apply books purchases, whose ledger has been spent already.
func (s *solver) apply(st *state, j *job, purchases []purchase) {
	for _, p := range purchases {
		b := bought{offering: j.cands[p.cand].offering, copies: p.copies, free: slices.Clone(j.cands[p.cand].capacity)}
		b.contents = make([]Content, 0, len(p.parts))
		for _, part := range p.parts {
			it := &j.items[part.item]
			b.contents = append(b.contents, Content{Demand: it.demand, Count: part.count})
			for d, q := range it.size {
				b.free[d] -= q * int64(part.count)
			}
			st.left[it.demand] -= part.count * p.copies
		}
		slices.SortFunc(b.contents, func(x, y Content) int { return cmp.Compare(x.Demand, y.Demand) })
		st.nodes = append(st.nodes, b)
	}
}

// largestFirst orders the items of a job by GPUs, then by what a place for one costs.
func (s *solver) largestFirst(j *job) []int {
	worth := j.values(make([]int, len(j.items)), false)
	turn := make([]int, len(j.items))
	for i := range turn {
		turn[i] = i
	}
	slices.SortFunc(turn, func(a, b int) int {
		return cmp.Or(cmp.Compare(s.gpus(j.items[b].demand), s.gpus(j.items[a].demand)), cmp.Compare(worth[b], worth[a]), cmp.Compare(a, b))
	})
	return turn
}

// gpus is how much of the scarce resource a pod of the demand asks for.
func (s *solver) gpus(d int) int64 {
	if s.p.GPU < 0 {
		return 0
	}
	return s.p.Demands[d].Size[s.p.GPU]
}
