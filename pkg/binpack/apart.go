package binpack

// symmetric answers for each demand those that it must not share a node with, whichever of the two says so; nil if nobody says anything.
func symmetric(demands []Demand) []Set {
	var sets []Set
	for d := range demands {
		if len(demands[d].Apart) == 0 {
			continue
		}
		for e := range demands[d].Apart.All() {
			if sets == nil {
				sets = emptySets(len(demands))
			}
			sets[d].Add(e)
			sets[e].Add(d)
		}
	}
	return sets
}

// clashes tells whether the demand must not join the contents.
func (s *solver) clashes(d int, contents []Content) bool {
	if s.apart == nil {
		return false
	}
	for _, c := range contents {
		if s.apart[d].Has(c.Demand) {
			return true
		}
	}
	return false
}

// apartItems answers for each item of a job those that it must not share a node with; nil if there are none.
func (s *solver) apartItems(items []item) []Set {
	if s.apart == nil {
		return nil
	}
	at := make([]int, len(s.p.Demands)) // its item, or -1
	for d := range at {
		at[d] = -1
	}
	for i := range items {
		at[items[i].demand] = i
	}
	var sets []Set
	for i := range items {
		for d := range s.apart[items[i].demand].All() {
			if at[d] < 0 {
				continue
			}
			if sets == nil {
				sets = emptySets(len(items))
			}
			sets[i].Add(at[d])
		}
	}
	return sets
}

// emptySets answers as many sets, each for as many indices, in one piece of memory.
func emptySets(n int) []Set {
	sets, words := make([]Set, n), len(NewSet(n))
	memory := make(Set, n*words)
	for i := range sets {
		sets[i] = memory[i*words : (i+1)*words : (i+1)*words]
	}
	return sets
}

// clash tells whether two items must not share a node.
func (j *job) clash(a, b int) bool { return j.apart != nil && j.apart[a].Has(b) }

// joins tells whether an item may join the parts of a purchase.
func (j *job) joins(i int, parts []part) bool {
	if j.apart == nil {
		return true
	}
	for _, p := range parts {
		if j.apart[i].Has(p.item) {
			return false
		}
	}
	return true
}
