package binpack

import (
	"math"
	"slices"
)

// dominance says which items need less than others: what holds a pod of the one above holds a pod of the one below as well, since that is no larger in
// anything, allowed wherever the other is, and has no rule about who else is there.
type dominance struct {
	above []Set   // by item
	next  [][]int // by item: those of above that are above no other of above
}

// newDominance compares the items of a job. Equal ones are ordered by index. O(items^2 x (resources + candidates/64 + items/64)).
func (j *job) newDominance() dominance {
	n := len(j.items)
	o := dominance{above: make([]Set, n), next: make([][]int, n)}
	where := make([]Set, n) // by item: its candidates
	for i := range where {
		where[i] = NewSet(len(j.cands))
		for c := range j.cands {
			if j.cands[c].allowed.Has(i) {
				where[i].Add(c)
			}
		}
	}
	needsLess := func(i, k int) bool {
		a, b := j.items[i].size, j.items[k].size
		return fits(a, b) && where[k].within(where[i]) && (i < k || !slices.Equal(a, b) || !where[i].within(where[k]))
	}
	for i := range o.above {
		o.above[i] = NewSet(n)
		if j.items[i].most != math.MaxInt32 || j.apart != nil && j.apart[i].Any() {
			continue
		}
		for k := range j.items {
			if k != i && needsLess(i, k) {
				o.above[i].Add(k)
			}
		}
	}
	for i := range o.above {
		far := NewSet(n)
		for k := range o.above[i].All() {
			for w, bits := range o.above[k] {
				far[w] |= bits
			}
		}
		for k := range o.above[i].All() {
			if !far.Has(k) {
				o.next[i] = append(o.next[i], k)
			}
		}
	}
	return o
}

// addExchanges adds columns of price 0 that turn a place for an item into one for an item that needs less. No place is worth more to
// an item than to one above it in some optimal solution, and these columns say so: dual-optimal inequalities (Ben Amor, Desrosiers and Valério de
// Carvalho 2006). They keep hundreds of like items from swinging against each other, and what was found for one serves all below it.
func (g *generator) addExchanges() {
	for i, above := range g.dominance.next {
		for _, k := range above {
			g.m.exchange(k, i)
		}
	}
}

// flow is an exchange in the programme's solution.
type flow struct {
	from, to int
	amount   float64
	used     int // by the copy that is being filled
}

// flows answers the exchanges that the master's solution makes.
func (m *master) flows(into []flow) []flow {
	into = into[:0]
	for i, b := range m.basis {
		if b >= 0 && m.cols[b].exchange() && m.x[i] > almostWhole {
			at := m.start[b]
			into = append(into, flow{from: int(m.index[at+1]), to: int(m.index[at]), amount: m.x[i]})
		}
	}
	return into
}

// filled answers contents for the places of a column, and how many copies of it there are pods for; 0 if there are too few for one. Where
// pods of an item run out, those take their places whom the programme's exchanges give them to.
func (d *dive) filled(places []part) (parts []part, copies int) {
	for e := range d.flows {
		d.flows[e].used = 0
	}
	if n := copiesLeft(places, d.left); n > 0 {
		return places, n
	}
	for _, p := range places {
		n := max(0, min(p.count, d.left[p.item]-countOf(parts, p.item)))
		parts = addPart(parts, p.item, n)
		for ; n < p.count; n++ {
			i := d.standIn(p.item, parts)
			if i < 0 {
				return nil, 0
			}
			parts = addPart(parts, i, 1)
		}
	}
	copies = copiesLeft(parts, d.left)
	for e := range d.flows {
		if f := &d.flows[e]; f.used > 0 {
			copies = min(copies, max(1, int(f.amount)/f.used))
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return a.item - b.item })
	return parts, copies
}

// standIn answers who takes a place of an item: along the largest exchange, again and again, until somebody is left there; -1 if nobody is.
func (d *dive) standIn(of int, parts []part) int {
	for {
		best, most := -1, almostWhole
		for e := range d.flows {
			f := &d.flows[e]
			if have := f.amount - float64(f.used); f.from == of && have > most {
				best, most = e, have
			}
		}
		if best < 0 {
			return -1
		}
		d.flows[best].used++
		if of = d.flows[best].to; d.left[of] > countOf(parts, of) {
			return of
		}
	}
}

func countOf(parts []part, item int) int {
	for _, p := range parts {
		if p.item == item {
			return p.count
		}
	}
	return 0
}

func addPart(parts []part, item, n int) []part {
	for i := range parts {
		if parts[i].item == item {
			parts[i].count += n
			return parts
		}
	}
	if n == 0 {
		return parts
	}
	return append(parts, part{item: item, count: n})
}
