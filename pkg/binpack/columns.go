package binpack

import (
	"math"
	"slices"
)

// generator is column generation for one job: the master programme prices places, the pricer finds contents that are worth more than their node
// costs, until there are none. Worths between the master's duals and those of the best proof so far (Wentges' smoothing) keep the duals
// from swinging; contents that beat their price by less than slack are not looked for, which is where the search gets hard.
type generator struct {
	s         *solver
	j         *job
	left      []int
	m         *master
	p         *pricer
	nodes     int     // search nodes for each candidate
	slack     float64 // part of a price
	smooth    float64 // how much of the best worths goes into the next
	relaxed   bool    // where the search for contents is cut short, fractional ones do: the programme is for a proof only
	ended     bool    // more steps would find nothing
	free      []bool  // by item: some candidate costs nothing, so no place is worth anything
	duals     []float64
	single    []column // by item: the one that holds it alone at the least price per pod
	dominance dominance
	coarse    *coarse // to begin with; nil: there is none, or it is done
	upper     []int64 // by candidate: what contents are worth at the most at the worths of the last round
	asked     []int64 // scratch
	scale     int64
	best      proof
	value     float64 // of the master when it was solved last
}

const (
	smoothing    = 0.6
	slackFirst   = 0.01
	slackLast    = 0.00025
	nodesFirst   = 200
	nodesLast    = 2000
	certifyEvery = 8      // rounds
	otherColumns = 8      // of a candidate in a round
	gapEnough    = 0.0005 // the part of the cost within which generation stops
)

// newGenerator begins with the columns that were seen, and with fewer rows if there are many. Every item must have a candidate.
func (s *solver) newGenerator(j *job, left []int) *generator {
	most := make([]int, len(j.items)) // other plans may put more pods onto new nodes, and fewer onto bins
	for i := range most {
		most[i] = s.p.Demands[j.items[i].demand].Count
	}
	g := s.wholeGenerator(j, left, most)
	g.coarse = g.newCoarse(most)
	return g
}

// wholeGenerator is newGenerator with a row for each item, of which a node may hold so many.
func (s *solver) wholeGenerator(j *job, left, most []int) *generator {
	g := &generator{s: s, j: j, left: left, nodes: nodesFirst, slack: slackFirst, smooth: smoothing, dominance: j.newDominance()}
	s.steps -= len(j.items) * len(j.items) / 64
	g.p = s.newPricer(j, most)
	g.p.thorough = s.steps > stepsFirst
	g.single = make([]column, len(j.items))
	for i := range j.items {
		g.single[i] = g.alone(i)
	}
	g.m = g.begin()
	g.duals, g.free = make([]float64, len(j.items)), make([]bool, len(j.items))
	g.p.worth, g.upper = make([]int64, len(j.items)), make([]int64, len(j.cands))
	for c := range j.cands {
		for i := range j.items {
			if s.p.Offerings[j.cands[c].offering].PriceMicroUSDPerHour == 0 && j.cands[c].allowed.Has(i) {
				g.free[i] = true
			}
		}
	}
	g.addExchanges()
	g.addSeen()
	return g
}

// begin answers a master in which each item is alone.
func (g *generator) begin() *master {
	price := make([]float64, len(g.single))
	for i := range price {
		price[i] = float64(g.j.cands[g.single[i].cand].price)
	}
	return newMaster(g.left, g.single, price)
}

// goesOn tells whether a job is the one that columns have been generated for.
func (g *generator) goesOn(j *job, left []int) bool {
	same := func(a, b item) bool { return a.demand == b.demand && a.level == b.level }
	bought := func(a, b candidate) bool {
		return a.offering == b.offering && a.price == b.price && slices.Equal(a.allowed, b.allowed)
	}
	return slices.Equal(g.left, left) && slices.EqualFunc(g.j.items, j.items, same) && slices.EqualFunc(g.j.cands, j.cands, bought)
}

// addSeen adds the columns that were bought in some try, as far as they belong to the job.
func (g *generator) addSeen() {
	item, cand := map[int]int{}, map[int]int{}
	for i := range g.j.items {
		item[g.j.items[i].demand] = i
	}
	for c := range g.j.cands {
		cand[g.j.cands[c].offering] = c
	}
	for n := range g.s.seen {
		b := &g.s.seen[n]
		col, ok := column{}, true
		if col.cand, ok = cand[b.offering]; !ok {
			continue
		}
		for _, c := range b.contents {
			i, known := item[c.Demand]
			ok = ok && known && g.j.cands[col.cand].allowed.Has(i) && c.Count <= g.left[i]
			col.parts = append(col.parts, part{item: i, count: c.Count})
		}
		if ok {
			slices.SortFunc(col.parts, func(a, b part) int { return a.item - b.item })
			g.m.add(col, float64(g.j.cands[col.cand].price))
		}
	}
}

// alone answers the column that holds an item at the least price per pod.
func (g *generator) alone(i int) column {
	best, least := column{}, math.Inf(1)
	for c := range g.j.cands {
		cand := &g.j.cands[c]
		if !cand.allowed.Has(i) {
			continue
		}
		n := copiesIn(g.j.items[i].size, cand.capacity, min(g.left[i], g.j.items[i].most))
		if per := float64(cand.price) / float64(n); per < least {
			best, least = column{cand: c, parts: []part{{item: i, count: n}}}, per
		}
	}
	return best
}

// run generates columns until the proof is near what the master costs, or steps fall to until.
func (g *generator) run(until int) {
	if g.coarse != nil && !g.refine(until) {
		return
	}
	for round := 0; g.s.steps > until; round++ {
		done := g.solveMaster(until)
		g.value = g.m.value()
		if !done {
			break
		}
		added := g.round()
		if added == 0 || round%certifyEvery == 0 {
			g.certify(g.smooth, g.upper)
		}
		if g.value <= g.best.bound*(1+gapEnough) {
			g.ended = true
			return
		}
		switch {
		case added > 0:
			g.smooth = smoothing
		case g.smooth > 0:
			g.smooth = 0
		case g.slack > slackLast || g.nodes < nodesLast:
			g.slack, g.nodes = max(g.slack/2, slackLast), min(g.nodes*2, nodesLast)
		default:
			g.ended = true
			return
		}
	}
	g.certify(0, nil)
}

// solveMaster solves the master and pays for it.
func (g *generator) solveMaster(until int) bool {
	before := g.m.work
	done := g.m.solve((g.s.steps - until) * workPerStep)
	g.s.steps -= (g.m.work - before) / workPerStep
	return done
}

// round prices every candidate, at worths between the master's duals and the proof's, and answers how many columns it found.
func (g *generator) round() (added int) {
	g.mixDuals(g.smooth)
	for c := range g.j.cands {
		target := g.target(c)
		parts, value, upper := g.p.price(c, target, g.nodes)
		if g.upper[c] = upper; parts != nil {
			added += g.addFound(c, parts)
		}
		if parts != nil && g.p.thorough {
			added += g.addOthers(c, parts, value)
		}
		if g.relaxed && g.p.loose && upper > target {
			added += g.addRelaxed(c)
		}
	}
	return added
}

// addOthers adds further columns of a candidate that has one: each time what was found is made worth no more than its price, so that what
// comes next has other items. Few candidates of many are worth a look when the programme is nearly solved, and each round costs the same.
func (g *generator) addOthers(c int, parts []part, value int64) (added int) {
	target := g.target(c)
	g.asked = append(g.asked[:0], g.p.worth...)
	g.p.thorough = false
	for range otherColumns {
		for _, p := range parts {
			g.p.worth[p.item] = scaled(g.p.worth[p.item], target, value)
		}
		if parts, value, _ = g.p.price(c, target, g.nodes); parts == nil {
			break
		}
		added += g.addFound(c, parts)
	}
	g.p.thorough = true
	copy(g.p.worth, g.asked)
	return added
}

// target is the worth that contents of a candidate must exceed.
func (g *generator) target(c int) int64 {
	price := g.j.cands[c].price * g.scale
	return price + int64(float64(price)*g.slack)
}

// addFound adds the column if the master has a use for it.
func (g *generator) addFound(c int, parts []part) int {
	worth, price := 0.0, float64(g.j.cands[c].price)
	for _, p := range parts {
		worth += float64(g.m.y[p.item] * float64(p.count))
	}
	if worth <= price*(1+1e-7) {
		return 0
	}
	g.m.add(column{cand: c, parts: parts}, price)
	return 1
}

// addRelaxed adds the fractional contents that the relaxation of the candidate's knapsack holds, if the master has a use for them.
func (g *generator) addRelaxed(c int) int {
	f := g.p.formOf(c)
	worth, price := 0.0, float64(g.j.cands[c].price)
	for n, a := range g.p.relax.amount {
		worth += float64(g.m.y[f.items[g.p.at[n]]] * a)
	}
	if worth <= price*(1+1e-7) {
		return 0
	}
	for n, a := range g.p.relax.amount {
		if a > 0 {
			g.m.index, g.m.count = append(g.m.index, int32(f.items[g.p.at[n]])), append(g.m.count, a)
		}
	}
	g.m.add(column{cand: c}, price)
	return 1
}

// mixDuals makes worths of the master's duals and, to a part, of the best proof: integers, rounded down.
func (g *generator) mixDuals(part float64) {
	for i, y := range g.m.y {
		g.duals[i] = max(0, y)
		if g.best.worth != nil {
			old := float64(g.best.worth[i]) / float64(g.best.scale)
			g.duals[i] = float64(part*old) + float64((1-part)*g.duals[i])
		}
	}
	top := 1.0
	for _, d := range g.duals {
		top = max(top, d)
	}
	g.scale = 1
	for g.scale < 1<<20 && top*float64(2*g.scale) <= mostWorth {
		g.scale *= 2
	}
	for i, d := range g.duals {
		if g.p.worth[i] = int64(min(d*float64(g.scale), mostWorth)); g.free[i] {
			g.p.worth[i] = 0
		}
	}
}
