package binpack

import (
	"cmp"
	"math"
	"slices"
)

// search is a depth-first walk through the contents of one node.
type search struct {
	j       *job
	order   []merit
	entries []seekEntry
	rows    int
	inside  []int   // entries that are in the node
	least   []int   // GPU units of the smallest entry from each on
	suffix  []int64 // (entry, GPU units free): the most that entries from it on can add to the bound
	free    Vector
	counts  []int
	chosen  []int
	best    int64
	found   bool
	open    int64 // the best bound that was not followed
	nodes   int
}

// merit is what an item is worth for what it takes.
type merit struct {
	worth float64
	at    int
}

type seekEntry struct {
	item, most, units int
	worth, reduced    int64
	size              Vector
}

// seek searches contents worth more than target among the items whose bound allows for that.
func (p *pricer) seek(f *form, lambda []int64, target, upper int64, nodes int) (parts []part, value, proven int64) {
	s := &p.search
	base := int64(0)
	for _, l := range lambda {
		base += l * shareGrain
	}
	s.order = s.order[:0]
	for n := range p.at {
		if p.reach(f, n) > target {
			s.order = append(s.order, merit{p.relax.merit(n), n})
		}
	}
	slices.SortFunc(s.order, func(a, b merit) int { return cmp.Or(cmp.Compare(b.worth, a.worth), cmp.Compare(a.at, b.at)) })
	s.entries = s.entries[:0]
	for _, o := range s.order {
		k := p.at[o.at]
		i := f.items[k]
		s.entries = append(s.entries, seekEntry{
			item: i, most: p.most[o.at], units: f.units[k], worth: p.worth[i], reduced: p.reduced[o.at], size: p.j.items[i].size,
		})
	}
	s.j = p.j
	s.prepare(f)
	s.best, s.found, s.open, s.nodes = target, false, 0, nodes
	s.from(0, 0, base, f.rows)
	p.s.steps -= (nodes - max(0, s.nodes)) + len(s.entries)/2
	p.loose = s.open > 0
	proven = min(upper, max(s.best, s.open))
	if !s.found {
		return nil, 0, proven
	}
	for e, n := range s.chosen {
		if n > 0 {
			parts = append(parts, part{item: s.entries[e].item, count: n})
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.item, b.item) })
	return parts, s.best, proven
}

// prepare builds the suffix tables.
func (s *search) prepare(f *form) {
	s.rows, s.inside = f.rows+1, s.inside[:0]
	s.free = append(s.free[:0], f.capacity...)
	s.counts, s.chosen = resized(s.counts, len(s.entries)), resized(s.chosen, len(s.entries))
	s.suffix, s.least = resized(s.suffix, (len(s.entries)+1)*s.rows), resized(s.least, len(s.entries)+1)
	s.least[len(s.entries)] = math.MaxInt
	for e := len(s.entries) - 1; e >= 0; e-- {
		s.least[e] = min(s.entries[e].units, s.least[e+1])
		here, next := s.suffix[e*s.rows:(e+1)*s.rows], s.suffix[(e+1)*s.rows:(e+2)*s.rows]
		entry := &s.entries[e]
		switch {
		case entry.reduced <= 0:
			copy(here, next)
		case entry.units == 0:
			for g := range here {
				here[g] = next[g] + entry.reduced*int64(entry.most)
			}
		default:
			addBounded(here, next, entry.units, entry.most, entry.reduced)
		}
	}
}

// from tries every number of every entry at and after it. bound is that of what is taken so far, free the GPU units left.
func (s *search) from(at int, value, bound int64, free int) {
	if value > s.best {
		s.best, s.found = value, true
		copy(s.chosen, s.counts)
	}
	for ; at < len(s.entries); at++ {
		reach := bound + s.suffix[at*s.rows+free]
		if reach <= s.best {
			return
		}
		if free < s.least[at] {
			return
		}
		e := &s.entries[at]
		if e.units > free || !fits(e.size, s.free) || s.j.apart != nil && s.torn(e.item) {
			continue
		}
		if s.nodes <= 0 {
			s.open = max(s.open, reach)
			return
		}
		n := copiesIn(e.size, s.free, e.most)
		s.take(e, at, n)
		s.inside = append(s.inside, at)
		for ; n > 0; n-- {
			s.nodes--
			s.from(at+1, value+int64(n)*e.worth, bound+int64(n)*e.reduced, free-n*e.units)
			s.take(e, at, -1)
		}
		s.inside = s.inside[:len(s.inside)-1]
	}
}

// torn tells whether the item must keep away from one that is in the node.
func (s *search) torn(item int) bool {
	return slices.ContainsFunc(s.inside, func(e int) bool { return s.j.clash(item, s.entries[e].item) })
}

func (s *search) take(e *seekEntry, at, n int) {
	s.counts[at] += n
	for d, q := range e.size {
		s.free[d] -= q * int64(n)
	}
}
