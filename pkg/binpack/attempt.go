package binpack

import (
	"cmp"
	"slices"
)

// attempt is a way to go through the demands.
type attempt struct {
	byPriority bool // one priority class after the other, gangs of it first, instead of all together
	bySize     bool // within a class, larger GPU counts first
	scarce     bool // prefer what takes little of the limits to what costs little
	columns    bool // by column generation too, for as long as steps last
	byWorth    bool // put onto bins what is dear to place elsewhere, instead of large pods first
}

// cheapestAttempt packs all demands together, because that is cheapest. Only if somebody then goes without who has a place in an empty
// world, limits or stock bind, and the pods that are served matter before the money: then it goes through the priorities in order.
func (s *solver) cheapestAttempt(start *state) *state {
	best := s.bestOf(start, nil, []attempt{{}})
	if best != nil && !s.starved(best) {
		if s.dense {
			return best // columns of many small pods cost seconds and gain little
		}
		return s.withColumns(start, best)
	}
	ordered := []attempt{{byPriority: true}, {byPriority: true, bySize: true}}
	if len(s.p.Limits) > 0 {
		ordered = append(ordered, attempt{byPriority: true, scarce: true}, attempt{byPriority: true, bySize: true, scarce: true})
	}
	return s.bestOf(start, best, ordered)
}

// withColumns packs by column generation: with the first answer's steps in any case, so that more steps never end dearer than it, and again
// with all of them if those were not enough.
func (s *solver) withColumns(start, best *state) *state {
	all := s.steps
	s.steps = stepsFirst
	best = s.bestOf(start, best, []attempt{{columns: true}})
	s.steps += all - stepsFirst
	if all <= stepsFirst || s.gen == nil || s.gen.ended {
		return best
	}
	return s.bestOf(start, best, []attempt{{columns: true}})
}

// bestOf runs the attempts, each with both ways to fill bins, and answers the best of them and best.
func (s *solver) bestOf(start, best *state, attempts []attempt) *state {
	for _, a := range attempts {
		for _, a.byWorth = range []bool{false, true} {
			if a.byWorth && len(s.p.Bins) == 0 {
				continue
			}
			if next := s.run(start.clone(), a); next != nil && (best == nil || s.compare(next, best) > 0) {
				best = next
			}
		}
	}
	return best
}

// run goes through the demands in one way; nil if that leaves a gang in pieces, which only happens to demands that are packed together.
func (s *solver) run(st *state, a attempt) *state {
	for _, group := range s.groups(a) {
		if a.byPriority && s.p.Demands[group[0]].Gang != 0 {
			s.packGang(st, group, a)
			continue
		}
		s.pack(st, group, a)
	}
	if !a.byPriority {
		for d := range s.p.Demands {
			if g := s.p.Demands[d].Gang; g != 0 && st.left[d] > 0 && !s.skip[d] {
				return nil
			}
		}
	}
	s.leftovers(st)
	return st
}

// packGang places a gang as a whole, or not at all.
func (s *solver) packGang(st *state, gang []int, a attempt) bool {
	for range 2 {
		next := st.clone()
		s.pack(next, gang, a)
		if !slices.ContainsFunc(gang, func(d int) bool { return next.left[d] > 0 }) {
			*st = *next
			return true
		}
		a.scarce = !a.scarce
	}
	return false
}

// leftovers tries once more what is left over, gangs as a whole, so that nothing is held that still has a place.
func (s *solver) leftovers(st *state) {
	var single []int
	for _, group := range s.groups(attempt{byPriority: true}) {
		group = slices.DeleteFunc(group, func(d int) bool { return st.left[d] == 0 })
		switch {
		case len(group) == 0:
		case s.p.Demands[group[0]].Gang != 0:
			s.packGang(st, group, attempt{})
		default:
			single = append(single, group...)
			s.pack(st, group, attempt{})
		}
	}
	s.fillBins(st, single)
	s.topUp(st, single)
}

// groups answers the demands in the order in which they are to be packed. Gangs that can never be whole are not among them.
func (s *solver) groups(a attempt) [][]int {
	var all []int
	for d := range s.p.Demands {
		if !s.skip[d] {
			all = append(all, d)
		}
	}
	rank := s.ranks()
	slices.SortFunc(all, func(x, y int) int { return cmp.Or(compareRanks(rank[x], rank[y]), cmp.Compare(x, y)) })
	if !a.byPriority {
		if len(all) == 0 {
			return nil
		}
		return [][]int{all}
	}
	var out [][]int
	for i, d := range all {
		if i > 0 {
			p, q := rank[all[i-1]], rank[d]
			if p.priority == q.priority && p.gang == q.gang && (!a.bySize || q.gang != 0 || p.gpus == q.gpus) {
				out[len(out)-1] = append(out[len(out)-1], d)
				continue
			}
		}
		out = append(out, []int{d})
	}
	return out
}

// rank is what decides a demand's turn: priority (of a gang: the highest of its members), gangs first, the larger in GPUs first; within
// a gang or the rest of the class, larger pods first.
type rank struct {
	priority  int32
	gang      int
	gangTotal int64
	gpus      int64
}

func compareRanks(a, b rank) int {
	whole := func(r rank) int { return min(1, max(r.gang, -r.gang)) }
	return cmp.Or(
		cmp.Compare(b.priority, a.priority), cmp.Compare(whole(b), whole(a)), cmp.Compare(b.gangTotal, a.gangTotal),
		cmp.Compare(a.gang, b.gang), cmp.Compare(b.gpus, a.gpus),
	)
}

func (s *solver) ranks() []rank {
	ranks := make([]rank, len(s.p.Demands))
	priority, total := map[int]int32{}, map[int]int64{}
	for d := range s.p.Demands {
		if g := s.p.Demands[d].Gang; g != 0 {
			if p, ok := priority[g]; !ok || s.p.Demands[d].Priority > p {
				priority[g] = s.p.Demands[d].Priority
			}
			total[g] += s.gpus(d) * int64(s.p.Demands[d].Count)
		}
	}
	for d := range s.p.Demands {
		g := s.p.Demands[d].Gang
		ranks[d] = rank{priority: s.p.Demands[d].Priority, gang: g, gpus: s.gpus(d)}
		if g != 0 {
			ranks[d].priority, ranks[d].gangTotal = priority[g], total[g]
		}
	}
	return ranks
}

// starved tells whether a demand goes without that would have a place in an empty world.
func (s *solver) starved(st *state) bool {
	for d := range s.p.Demands {
		if st.left[d] > 0 && s.alone[d] && !s.skip[d] {
			return true
		}
	}
	return false
}

// compare answers > 0 if a is the better state: class by class from the highest priority, more GPUs served, then larger pods, then more
// pods; then less money; then fewer GPUs bought, so that fewer are stranded; then fewer nodes.
func (s *solver) compare(a, b *state) int {
	if c := cmp.Or(s.compareServed(a, b), cmp.Compare(s.cost(b), s.cost(a))); c != 0 {
		return c
	}
	bought := func(st *state) (gpus int64, nodes int) {
		for i := range st.nodes {
			n := &st.nodes[i]
			nodes += n.copies
			if s.p.GPU >= 0 {
				gpus += s.p.Shapes[s.p.Offerings[n.offering].Shape].Capacity[s.p.GPU] * int64(n.copies)
			}
		}
		return gpus, nodes
	}
	aGPUs, aNodes := bought(a)
	bGPUs, bNodes := bought(b)
	return cmp.Or(cmp.Compare(bGPUs, aGPUs), cmp.Compare(bNodes, aNodes))
}

func (s *solver) compareServed(a, b *state) int {
	if slices.Equal(a.left, b.left) {
		return 0
	}
	type served struct {
		priority            int32
		gpus, squares, pods float64
	}
	classes := map[int32]*served{}
	var order []*served
	for d := range s.p.Demands {
		c := classes[s.p.Demands[d].Priority]
		if c == nil {
			c = &served{priority: s.p.Demands[d].Priority}
			classes[c.priority] = c
			order = append(order, c)
		}
		// Whole numbers far below 2^53 in practice; beyond that the comparison of two nearly equal states is merely coarse.
		more, size := float64(b.left[d]-a.left[d]), float64(s.gpus(d))
		c.gpus += more * size
		c.squares += float64(more*size) * size
		c.pods += more
	}
	slices.SortFunc(order, func(x, y *served) int { return cmp.Compare(y.priority, x.priority) })
	for _, c := range order {
		if r := cmp.Or(cmp.Compare(c.gpus, 0), cmp.Compare(c.squares, 0), cmp.Compare(c.pods, 0)); r != 0 {
			return r
		}
	}
	return 0
}
