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
	grid    grid
	cells   int     // of a table: rows x grid.buckets
	base    int64   // what the whole capacity costs at the bound's multipliers
	inside  []int   // entries that are in the node
	least   []int   // GPU units of the smallest entry from each on
	suffix  []int64 // (entry, GPU units free, buckets free): the most that entries from it on can add to the bound
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
	item, most, units, buckets int
	worth, reduced             int64
	size                       Vector
}

// seek searches contents worth more than target among the items whose bound allows for that. What is too hard with the plain bound, which
// knows the GPU only, is searched again, if the pricer is to be thorough, with a bound that knows the scarcest of the other resources too.
func (p *pricer) seek(f *form, lambda []int64, target, upper int64, nodes int) (parts []part, value, proven int64) {
	s := &p.search
	s.order = s.order[:0]
	for n := range p.at {
		if p.reach(f, n) > target {
			s.order = append(s.order, merit{p.relax.merit(n), n})
		}
	}
	slices.SortFunc(s.order, func(a, b merit) int { return cmp.Or(cmp.Compare(b.worth, a.worth), cmp.Compare(a.at, b.at)) })
	p.lay(f, lambda, grid{buckets: 1})
	parts, value, proven = p.walk(target, upper, f.rows, nodes)
	if !p.loose || !p.thorough || parts != nil {
		return parts, value, proven
	}
	if again, tighter, ok := p.seekOnGrid(f, lambda, target, upper, thoroughNodes*nodes); ok {
		parts, value, proven = again, p.search.best, min(proven, tighter)
	}
	return parts, value, proven
}

// thoroughNodes is how many times more nodes a search with the better bound may have.
const thoroughNodes = 10

// lay prepares a search with these multipliers and answers what no contents are worth more than.
func (p *pricer) lay(f *form, lambda []int64, g grid) int64 {
	s := &p.search
	s.j, s.grid = p.j, g
	s.base = p.enter(f, lambda)
	s.prepare(f)
	p.s.steps -= s.cells * len(s.entries) / cellsPerStep
	return s.base + s.suffix[s.cells-1]
}

// walk searches what was laid.
func (p *pricer) walk(target, upper int64, rows, nodes int) (parts []part, value, proven int64) {
	s := &p.search
	s.best, s.found, s.open, s.nodes = target, false, 0, nodes
	s.from(0, 0, s.base, rows)
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

// enter makes the entries of the search, and answers what the whole capacity costs at the multipliers that its bound uses.
func (p *pricer) enter(f *form, lambda []int64) (base int64) {
	s := &p.search
	s.entries = s.entries[:0]
	for _, l := range lambda {
		base += l * shareGrain
	}
	for _, o := range s.order {
		k := p.at[o.at]
		i := f.items[k]
		e := seekEntry{
			item: i, most: p.most[o.at], units: f.units[k], worth: p.worth[i], reduced: p.reduced[o.at], size: p.j.items[i].size,
		}
		if s.grid.buckets > 1 {
			e.buckets = int(e.size[s.grid.dim] >> s.grid.shift)
			e.reduced = e.worth
			for d, l := range lambda {
				e.reduced -= l * f.share[k*len(f.dims)+d]
			}
		}
		s.entries = append(s.entries, e)
	}
	return base
}

// prepare builds the suffix tables.
func (s *search) prepare(f *form) {
	s.rows, s.inside = f.rows+1, s.inside[:0]
	s.cells = s.rows * s.grid.buckets
	s.free = append(s.free[:0], f.capacity...)
	s.counts, s.chosen = resized(s.counts, len(s.entries)), resized(s.chosen, len(s.entries))
	s.least = resized(s.least, len(s.entries)+1)
	if need := (len(s.entries) + 1) * s.cells; cap(s.suffix) < need {
		s.suffix = make([]int64, need)
	} else {
		s.suffix = s.suffix[:need]
		clear(s.suffix[need-s.cells:]) // the rest is written below
	}
	s.least[len(s.entries)] = math.MaxInt
	for e := len(s.entries) - 1; e >= 0; e-- {
		s.least[e] = min(s.entries[e].units, s.least[e+1])
		here, next := s.suffix[e*s.cells:(e+1)*s.cells], s.suffix[(e+1)*s.cells:(e+2)*s.cells]
		entry := &s.entries[e]
		switch {
		case entry.reduced <= 0:
			copy(here, next)
		case entry.units == 0 && entry.buckets == 0:
			for g := range here {
				here[g] = next[g] + entry.reduced*int64(entry.most)
			}
		case s.grid.buckets == 1:
			addBounded(here, next, entry.units, entry.most, entry.reduced)
		default:
			s.grid.add(here, next, entry)
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
		reach := bound + s.suffix[at*s.cells+free*s.grid.buckets+s.grid.bucket(s.free)]
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
