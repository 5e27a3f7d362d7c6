package binpack

import (
	"cmp"
	"math"
	"slices"
)

// improver looks for cheaper ways to hold what a few new nodes of one tier hold.
type improver struct {
	*solver
	st     *state
	tier   int
	job    *job
	item   []int // by Demand: its item, -1 if none
	values []int64
	strict bool // somebody goes without: a change must not take more of any limit
}

// improve repacks single nodes, pairs and triples of new nodes, worst first, until nothing gets cheaper or the steps are used up: exactly
// where the pods are few, by greedy otherwise. It never makes the plan dearer, serves fewer pods or leaves limits and stock.
func (s *solver) improve(st *state) {
	for _, tier := range s.tiers() {
		if im := s.newImprover(st, tier); im != nil {
			im.run()
		}
	}
	st.nodes = slices.DeleteFunc(st.nodes, func(b bought) bool { return b.copies == 0 })
}

func (s *solver) newImprover(st *state, tier int) *improver {
	im := &improver{solver: s, st: st, tier: tier, item: make([]int, len(s.p.Demands)), strict: s.starved(st)}
	level := make([]int, len(s.p.Demands))
	for d := range level {
		level[d] = math.MaxInt
	}
	for i := range st.nodes {
		if s.p.Offerings[st.nodes[i].offering].Tier != tier {
			continue
		}
		for _, c := range st.nodes[i].contents {
			level[c.Demand] = min(level[c.Demand], s.levelOf(c.Demand, st.nodes[i].offering))
		}
	}
	var items []item
	for d := range level {
		im.item[d] = -1
		if level[d] < math.MaxInt {
			im.item[d] = len(items)
			items = append(items, item{demand: d, level: level[d], size: s.p.Demands[d].Size, most: perNode(&s.p.Demands[d])})
		}
	}
	if len(items) == 0 {
		return nil
	}
	for _, it := range s.expect.job.items { // what is larger, or allowed to more of them, is no more dominated
		im.item[it.demand] = len(items)
		items = append(items, it)
	}
	// What the nodes use now is theirs to use again, so candidates are judged by what there was at first.
	many := make([]int, len(items))
	for i := range items {
		many[i] = s.p.Demands[items[i].demand].Count
	}
	im.job = s.newJob(items, tier, &s.start().ledger, false).shortlisted(many)
	im.values = im.job.values(many, false)
	return im
}

// run tries everything at once, then neighbourhoods of growing size.
func (im *improver) run() {
	all := im.worstFirst()
	if im.try(all, true) {
		return
	}
	for round := 0; round < 8 && im.steps > 0; round++ {
		improved := false
		worst := im.worstFirst()
		for _, i := range worst {
			improved = im.try([]int{i}, false) || improved
		}
		worst = im.worstFirst()
		for span := 1; span < len(worst) && im.steps > 0; span++ {
			for a := 0; a+span < len(worst) && im.steps > 0; a++ {
				improved = im.try([]int{worst[a], worst[a+span]}, false) || improved
				if c := a + span + 1; c < len(worst) {
					improved = im.try([]int{worst[a], worst[a+span], worst[c]}, false) || improved
				}
			}
		}
		if !improved {
			return
		}
	}
}

// worstFirst answers the nodes of the tier by how much dearer they are than what they hold is worth, relatively.
func (im *improver) worstFirst() []int {
	var at []int
	waste := make([]int64, len(im.st.nodes))
	for i := range im.st.nodes {
		b := &im.st.nodes[i]
		if b.copies == 0 || im.p.Offerings[b.offering].Tier != im.tier {
			continue
		}
		price := max(1, im.p.Offerings[b.offering].PriceMicroUSDPerHour) * valueScale
		var worth int64
		for _, c := range b.contents {
			worth += im.values[im.item[c.Demand]] * int64(c.Count)
		}
		waste[i] = 0
		if price > worth {
			waste[i] = ratio(price-worth, price, 1<<20)
		}
		at = append(at, i)
	}
	slices.SortFunc(at, func(a, b int) int { return cmp.Or(cmp.Compare(waste[b], waste[a]), cmp.Compare(a, b)) })
	return at
}

// try repacks one copy of each of the nodes, with everyCopy all of them, and keeps the result if it is better. With everyCopy it
// answers whether the result is known to be the best there is.
func (im *improver) try(nodes []int, everyCopy bool) bool {
	counts := make([]int, len(im.job.items))
	copies := make([]int, len(nodes))
	var before int64
	for n, i := range nodes {
		b := &im.st.nodes[i]
		if copies[n] = min(1, b.copies); everyCopy {
			copies[n] = b.copies
		}
		if copies[n] == 0 {
			return false
		}
		c := candidate{offering: b.offering, capacity: im.p.Shapes[im.p.Offerings[b.offering].Shape].Capacity}
		before += im.weigh(&c) * int64(copies[n])
		for _, content := range b.contents {
			counts[im.item[content.Demand]] += content.Count * copies[n]
		}
	}
	small, at := im.job.shrunk(counts)
	im.steps -= 10 + len(im.job.items) + len(im.job.cands)
	purchases, exact := im.repack(small, im.candWeights(small), at)
	if !exact {
		if everyCopy || len(nodes) == 1 {
			return false
		}
		if purchases = im.recreate(small, at); purchases == nil {
			return false
		}
	}
	if im.weight(small, purchases) >= before {
		return exact && everyCopy // repacking ignores limits and stock, so nothing that heeds them is better
	}
	if im.swap(nodes, copies, small, purchases) {
		return exact || !everyCopy
	}
	return exact && im.tryFrugal(nodes, copies, small, at, before)
}

// tryFrugal repacks what takes too much of a limit when money alone decides: the least of the limits first, then money.
func (im *improver) tryFrugal(nodes, copies []int, j *job, at []int, before int64) bool {
	if len(im.p.Limits) == 0 {
		return false
	}
	room := im.start().ledger
	slices.SortStableFunc(j.cands, func(a, b candidate) int {
		return cmp.Compare(im.scarcity(&im.p.Offerings[a.offering], &room), im.scarcity(&im.p.Offerings[b.offering], &room))
	})
	weights := make([]int64, len(j.cands))
	for c := range weights {
		weights[c] = im.scarcity(&im.p.Offerings[j.cands[c].offering], &room)
	}
	purchases, exact := im.repack(j, weights, at)
	return exact && im.weight(j, purchases) < before && im.swap(nodes, copies, j, purchases)
}

// weight sums what repacking minimises.
func (im *improver) weight(j *job, purchases []purchase) (w int64) {
	for _, p := range purchases {
		w += im.weigh(&j.cands[p.cand]) * int64(p.copies)
	}
	return w
}

// shrunk answers a job of only the items that are there, with the candidates that can be of use to them, and how
// many there are of each.
func (j *job) shrunk(counts []int) (*job, []int) {
	small := &job{}
	var at, old []int
	for i, n := range counts {
		if n > 0 {
			small.items, at, old = append(small.items, j.items[i]), append(at, n), append(old, i)
		}
	}
	for c := range j.cands {
		cand := j.cands[c]
		allowed := NewSet(len(old))
		any := false
		for k, i := range old {
			if cand.allowed.Has(i) {
				allowed.Add(k)
				any = true
			}
		}
		if any {
			cand.allowed = allowed
			small.cands = append(small.cands, cand)
		}
	}
	if j.apart != nil {
		small.apart = make([]Set, len(old))
		for k, i := range old {
			small.apart[k] = NewSet(len(old))
			for n, other := range old {
				if j.apart[i].Has(other) {
					small.apart[k].Add(n)
				}
			}
		}
	}
	return small, at
}

func (im *improver) candWeights(j *job) []int64 {
	w := make([]int64, len(j.cands))
	for c := range w {
		w[c] = im.weigh(&j.cands[c])
	}
	return w
}

// recreate packs the pods by greedy.
func (im *improver) recreate(j *job, counts []int) []purchase {
	left, led := slices.Clone(counts), ledger{room: slices.Clone(im.st.room), stock: make([]int, len(im.st.stock))}
	for l := range led.room {
		led.room[l] = math.MaxInt64 // swap judges the limits and the stock
	}
	for o := range led.stock {
		led.stock[o] = -1
	}
	purchases := im.greedy(j, j.values(left, true), left, &led)
	if slices.ContainsFunc(left, func(n int) bool { return n > 0 }) {
		return nil
	}
	return purchases
}

// swap replaces copies of nodes by purchases, unless limits or stock forbid it.
func (im *improver) swap(nodes, copies []int, j *job, purchases []purchase) bool {
	led := im.st.ledger.clone()
	for n, i := range nodes {
		b := &im.st.nodes[i]
		led.spend(&im.p.Offerings[b.offering], b.offering, -copies[n])
	}
	for _, p := range purchases {
		at := j.cands[p.cand].offering
		if led.afford(&im.p.Offerings[at], at, p.copies) < p.copies {
			return false
		}
		led.spend(&im.p.Offerings[at], at, p.copies)
	}
	for l := range led.room {
		if im.strict && led.room[l] < im.st.room[l] {
			return false
		}
	}
	for n, i := range nodes {
		im.st.nodes[i].copies -= copies[n]
		for _, c := range im.st.nodes[i].contents {
			im.st.left[c.Demand] += c.Count * copies[n]
		}
	}
	im.st.ledger = led
	im.apply(im.st, j, purchases)
	return true
}
