package binpack

import (
	"cmp"
	"slices"
)

const (
	fewRows     = 128 // programmes with so many rows are solved as they are
	coarseMilli = 20
)

// coarse is a generator that counts the pods of some items among those of items above them. A large mix has hundreds of classes of a pod or two,
// which together are a hundredth of it: without rows for them the programme is solved in a fraction of the time, and its solution, with a place
// of the host exchanged for each of their pods, is one of the whole programme to go on from.
type coarse struct {
	*generator
	host []int // by item of the whole job: the one among whose pods its own are counted, -1: they have a row
	kept []int // by item of the coarser job: the one of the whole job
}

// newCoarse answers the coarser programme of a generator's, nil if there would be nothing to gain.
func (g *generator) newCoarse(most []int) *coarse {
	if len(g.j.items) <= g.s.fewRows {
		return nil
	}
	c := &coarse{host: g.hosts()}
	counts, most := slices.Clone(g.left), slices.Clone(most)
	for i, h := range c.host {
		if h < 0 {
			c.kept = append(c.kept, i)
			continue
		}
		counts[h] += g.left[i]
		most[h] += most[i]
		counts[i] = 0
	}
	if len(c.kept) == len(c.host) {
		return nil
	}
	small, left := g.j.shrunk(counts)
	for n, i := range c.kept {
		most[n] = most[i]
	}
	c.generator = g.s.wholeGenerator(small, left, most[:len(c.kept)])
	return c
}

// hosts chooses whose pods are counted among whose. What that gets wrong is at most the difference in worth, which the price of a place alone on a
// node guesses: the least of it first, and each with the cheapest of those above it.
func (g *generator) hosts() []int {
	n := len(g.j.items)
	host, pinned, turn := make([]int, n), make([]bool, n), make([]int, 0, n)
	for i := range host {
		host[i] = -1
	}
	nearest := func(i int) (at int, loss float64) {
		at = -1
		for k := range g.dominance.above[i].All() {
			if host[k] < 0 && (at < 0 || g.m.y[k] < g.m.y[at]) {
				at = k
			}
		}
		if at >= 0 {
			loss = float64((g.m.y[at] - g.m.y[i]) * float64(g.left[i]))
		}
		return at, loss
	}
	losses, total := make([]float64, n), 0.0
	for i := range host {
		at, loss := nearest(i)
		if losses[i], total = loss, total+float64(g.m.y[i]*float64(g.left[i])); at >= 0 {
			turn = append(turn, i)
		}
	}
	slices.SortFunc(turn, func(a, b int) int { return cmp.Or(cmp.Compare(losses[a], losses[b]), cmp.Compare(a, b)) })
	sum := 0.0
	for _, i := range turn {
		at, loss := nearest(i)
		if at < 0 || pinned[i] {
			continue
		}
		if sum += loss; sum*1000 > total*coarseMilli {
			break
		}
		host[i], pinned[at] = at, true
	}
	return host
}

// refine solves the coarser programme, with steps left until that many at the least, and goes on from there. It answers false if the steps ended
// before its columns were complete, when the whole programme is to wait. Half of a large effort is enough for it.
func (g *generator) refine(until int) bool {
	c, all := g.coarse, true
	if g.s.steps-until > stepsFirst {
		until, all = until+(g.s.steps-until)/2, false
	}
	c.p.thorough = g.p.thorough
	c.run(until)
	g.adopt()
	if all && !c.ended {
		return false
	}
	g.slack, g.smooth = c.slack, c.smooth
	g.coarse = nil
	return true
}

// adopt begins the whole programme with the coarser one's columns and solution. With A its basis and E the hosts' unit vectors,
//
//	| A -E |           | A^-1  A^-1·E |
//	| 0  I |  inverts to |  0       I   |
//
// where the second part is a column for each item with a host, which exchanges a place of the host's.
func (g *generator) adopt() {
	c, from := g.coarse, g.coarse.m
	g.m = g.begin()
	at := g.copyColumns(c)
	row := make([]int, len(c.host)) // of the coarser programme's, by item
	for r, i := range c.kept {
		row[i] = r
	}
	clear(g.m.inv)
	for i, h := range c.host {
		if h >= 0 {
			g.m.basis[i], g.m.y[i], g.m.inv[i*g.m.rows+i] = len(g.m.cols), from.y[row[h]], 1
			g.m.exchange(h, i)
			continue
		}
		r := row[i]
		if g.m.y[i] = from.y[r]; from.basis[r] >= 0 {
			g.m.basis[i] = at[from.basis[r]]
		} else {
			g.m.basis[i] = -1 - c.kept[-1-from.basis[r]]
		}
		have, want := from.inv[r*from.rows:(r+1)*from.rows], g.m.inv[i*g.m.rows:(i+1)*g.m.rows]
		for k, host := range c.host {
			if host < 0 {
				host = k
			}
			want[k] = have[row[host]]
		}
	}
	g.m.settle()
	g.addExchanges()
	g.addSeen()
}

// copyColumns adds the coarser programme's columns, and answers where each is.
func (g *generator) copyColumns(c *coarse) []int {
	cand := map[int]int{}
	for k := range g.j.cands {
		cand[g.j.cands[k].offering] = k
	}
	at := make([]int, len(c.m.cols))
	for b := range c.m.cols {
		at[b] = len(g.m.cols)
		col := c.m.cols[b]
		if !col.exchange() {
			col.cand, col.parts = cand[c.j.cands[col.cand].offering], slices.Clone(col.parts)
		}
		for n := range col.parts {
			col.parts[n].item = c.kept[col.parts[n].item]
		}
		g.m.cols, g.m.price = append(g.m.cols, col), append(g.m.price, c.m.price[b])
		for k := c.m.start[b]; k < c.m.start[b+1]; k++ {
			g.m.index, g.m.count = append(g.m.index, int32(c.kept[c.m.index[k]])), append(g.m.count, c.m.count[k])
		}
		g.m.start = append(g.m.start, len(g.m.index))
	}
	return at
}
