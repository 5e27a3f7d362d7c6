package binpack

import "slices"

// mostForeseen bounds the multisets that are repacked with an eye on what is expected: each is tried on every candidate, with a knapsack
// for the room that it leaves.
const mostForeseen = 256

// expected tells whether nobody waits: the pods are only expected to arrive.
func (d *Demand) expected() bool { return d.WorthMilli > 0 }

// outlook is what is expected to arrive, as a job without candidates.
type outlook struct {
	job    *job
	values []int64 // by item: what a place for one is worth, micro-dollars per hour, > 0
}

// newOutlook collects the expected demands that something can be bought for. O(expected x offerings).
func (s *solver) newOutlook(start *state) outlook {
	o := outlook{job: &job{}}
	for d := range s.p.Demands {
		demand := &s.p.Demands[d]
		if !demand.expected() {
			continue
		}
		if worth := s.worthOf(start, d) * int64(demand.WorthMilli) / 1000; worth > 0 {
			o.job.items = append(o.job.items, item{demand: d, level: len(demand.Levels) - 1, size: demand.Size, most: perNode(demand)})
			o.values = append(o.values, worth)
		}
	}
	o.job.apart = s.apartItems(o.job.items)
	return o
}

// worthOf answers the cheapest price per pod of a node that holds nothing but pods of the demand; 0 if none can be bought.
func (s *solver) worthOf(start *state, d int) int64 {
	demand := &s.p.Demands[d]
	least := int64(-1)
	for i := range s.p.Offerings {
		o := &s.p.Offerings[i]
		n := copiesIn(demand.Size, s.p.Shapes[o.Shape].Capacity, min(MaxCount, perNode(demand)))
		if n == 0 || o.Closed != Open || s.levelOf(d, i) < 0 || start.afford(o, i, 1) == 0 {
			continue
		}
		if each := o.PriceMicroUSDPerHour / int64(n); least < 0 || each < least {
			least = each
		}
	}
	return max(0, least)
}

// awaited answers how many of each expected item have no room on the bins when everybody waiting has a place. O(items x bins).
func (s *solver) awaited(st *state) []int {
	left := make([]int, len(s.expect.job.items))
	free, fills := slices.Clone(st.free), slices.Clone(st.fills)
	for i, it := range s.expect.job.items {
		left[i] = s.p.Demands[it.demand].Count
		s.rooms = s.rooms[:0]
		for b := range free {
			if !slices.ContainsFunc(s.p.Demands[it.demand].Levels, func(l Level) bool { return l.Bins.Has(b) }) {
				continue
			}
			if r, ok := s.roomFor(it.demand, b, free[b], fills[b], left[i]); ok {
				s.rooms = append(s.rooms, r)
			}
		}
		tightest(s.rooms)
		for _, r := range s.rooms {
			n := min(r.most, left[i])
			if n == 0 {
				break
			}
			free[r.at], fills[r.at] = minus(free[r.at], it.size, n), with(fills[r.at], it.demand, n)
			left[i] -= n
		}
	}
	return left
}

// hopes answers the most valuable expected contents of what is free beside the contents of a node, and their value.
func (s *solver) hopes(offering int, free Vector, contents []Content, waiting []int) ([]part, int64) {
	j := s.expect.job
	c := candidate{offering: offering, capacity: free, allowed: NewSet(len(j.items))}
	any := false
	for i := range j.items {
		it := &j.items[i]
		if waiting[i] > 0 && fits(it.size, free) && s.levelOf(it.demand, offering) >= 0 && !s.clashes(it.demand, contents) {
			c.allowed.Add(i)
			any = true
		}
	}
	if !any {
		return nil, 0
	}
	return s.knapsack(j, &c, s.expect.values, waiting)
}

// roomLeft answers how many of the copies of a node leave the same room to what is expected (at least one), that room, and what it is worth
// on each. waiting is used up.
func (s *solver) roomLeft(b *bought, copies int, waiting []int) (same int, expected []Content, worth int64) {
	if len(waiting) == 0 {
		return copies, nil, 0
	}
	parts, worth := s.hopes(b.offering, b.free, b.contents, waiting)
	if len(parts) == 0 {
		return copies, nil, 0
	}
	same = min(copies, copiesLeft(parts, waiting))
	for _, p := range parts {
		waiting[p.item] -= p.count * same
		expected = with(expected, s.expect.job.items[p.item].demand, p.count)
	}
	return same, expected, worth
}

// worthLeft sums what the room left on nodes is worth; waiting is used up. O(distinct nodes x knapsack).
func (s *solver) worthLeft(nodes []bought, waiting []int) (sum int64) {
	nodes = inOrder(nodes)
	for i := range nodes {
		for copies := nodes[i].copies; copies > 0; {
			same, _, worth := s.roomLeft(&nodes[i], copies, waiting)
			sum += worth * int64(same)
			copies -= same
		}
	}
	return sum
}

// foresee changes purchases so that their cost less the worth of the room left to what is expected gets lower: all of them at once where
// the pods are few, and one by one to another offering. Nothing is expected of a cluster in which somebody goes without.
func (s *solver) foresee(st *state) {
	if len(s.expect.job.items) == 0 || s.steps <= 0 || s.starved(st) {
		return
	}
	for _, tier := range s.tiers() {
		im := s.newImprover(st, tier)
		if im == nil {
			continue
		}
		im.foreseeAll()
		for round := 0; round < 4 && im.steps > 0; round++ {
			changed := false
			for _, i := range im.worstFirst() {
				changed = im.steps > 0 && im.foreseeing([]int{i}, false) || changed
			}
			if !changed {
				break
			}
		}
	}
	st.nodes = slices.DeleteFunc(st.nodes, func(b bought) bool { return b.copies == 0 })
}

func (im *improver) foreseeAll() {
	if nodes := im.worstFirst(); len(nodes) > 1 || len(nodes) == 1 && im.st.nodes[nodes[0]].copies > 1 {
		im.foreseeing(nodes, true)
	}
}

// foreseeing repacks one copy of each of the nodes, with everyCopy all of them, and keeps the result if it costs less, less the worth of
// the room left on all nodes.
func (im *improver) foreseeing(nodes []int, everyCopy bool) bool {
	counts, copies := make([]int, len(im.job.items)), make([]int, len(nodes))
	for n, i := range nodes {
		b := &im.st.nodes[i]
		if copies[n] = min(1, b.copies); everyCopy {
			copies[n] = b.copies
		}
		for _, content := range b.contents {
			counts[im.item[content.Demand]] += content.Count * copies[n]
		}
	}
	small, at := im.job.shrunk(counts)
	if len(small.items) == 0 {
		return false
	}
	waiting := im.awaited(im.st)
	all := slices.Clone(waiting)
	others := slices.Clone(im.st.nodes)
	for n, i := range nodes {
		others[i].copies -= copies[n]
	}
	im.worthLeft(others, waiting)
	purchases, ok := im.repackBy(small, at, mostForeseen, func(m *subsets, at int) (int, int64) { return im.lightestForeseen(small, m, at, waiting) })
	if !ok {
		return false
	}
	next := &improver{solver: im.solver, st: im.st.clone(), strict: im.strict}
	if !next.swap(nodes, copies, small, purchases) || next.foreseenCost(all) >= im.foreseenCost(all) {
		return false
	}
	*im.st = *next.st
	return true
}

// foreseenCost is what foresee minimises.
func (im *improver) foreseenCost(waiting []int) int64 {
	return im.cost(im.st) - im.worthLeft(im.st.nodes, slices.Clone(waiting))
}

// lightestForeseen answers the candidate on which the multiset costs the least, less what the room beside it is worth.
func (im *improver) lightestForeseen(j *job, m *subsets, at int, waiting []int) (cand int, weight int64) {
	var contents []Content
	for _, p := range m.parts(at) {
		contents = with(contents, j.items[p.item].demand, p.count)
	}
	cand = -1
	for c := m.first[at]; c < len(j.cands); c++ {
		if !m.holds(j, &j.cands[c], at) {
			continue
		}
		w := im.weigh(&j.cands[c])
		if _, worth := im.hopes(j.cands[c].offering, minus(j.cands[c].capacity, m.sum[at], 1), contents, waiting); worth > 0 {
			w -= worth * tie
		}
		if cand < 0 || w < weight {
			cand, weight = c, w
		}
	}
	return cand, weight
}
