package binpack

import (
	"cmp"
	"slices"
)

// part is a number of pods of one item of a job.
type part struct{ item, count int }

const (
	roughDims    = 8    // resources that the surrogate bound looks at, so that it cannot overflow
	grain        = 1024 // weights in the surrogate bound are in 1/grain of a capacity, rounded down
	pairGrain    = 32   // columns of a pair table
	mostGPUUnits = 32   // rows of a pair table
	pairAfter    = 128  // search nodes after which pair tables pay for themselves
)

// entry is an item that may go into the knapsack.
type entry struct {
	part  // count: the most of it
	value int64
	apart Set   // items that it must not share the node with
	share int64 // sum over the first roughDims resources of its share of the capacity, in grains, each rounded down
	size  Vector
}

// table bounds what the entries from some index on can be worth: worth[at][a][b] is the best value with a units of the scarce resource
// and b grains of another one free, when any number of each entry may be taken and the other resources are ignored.
type table struct {
	rows, cols int
	a, b       []int // units that each entry takes, rounded down
	worth      []int64
	freeA      int
	freeB      int
}

// knapsack finds the most valuable contents of one node exactly: depth-first over the items by value per share of the node, cut where
// the value so far plus an upper bound does not beat the best. The bounds are the fractional one over all resources together, and
// tables by dynamic programming over (GPU) and, once the search proves hard, (GPU, each other resource). A node takes at most some
// 8 to 16 GPU pods, so that is small in practice; in the worst case it is exponential, so nodes are capped and the best found stands.
type knapsack struct {
	entries []entry
	free    Vector
	rough   int64 // free, in grains, over the resources that entries count
	tables  []table
	counts  []int
	blocked []int // by entry: how many entries in the node it must not share with; nil: no two
	best    int64
	chosen  []int
	nodes   int
	most    int // nodes allowed
	paired  bool
	gpu     int
}

// solve answers the best contents for the capacity and their value. The parts are the caller's.
func (k *knapsack) solve(j *job, c *candidate, values []int64, left []int, gpu, most int) ([]part, int64) {
	k.load(j, c, values, left)
	k.gpu, k.most, k.nodes, k.best, k.paired = max(gpu, 0), most, 0, 0, false
	k.tables = k.tables[:0]
	if len(k.entries) > 1 && len(c.capacity) > 0 {
		k.addTable(c.capacity, k.gpu, -1)
	}
	k.counts = resized(k.counts, len(k.entries))
	k.chosen = resized(k.chosen, len(k.entries))
	if k.blocked = nil; j.apart != nil {
		k.blocked = make([]int, len(k.entries))
	}
	k.search(0, 0)
	if k.nodes > pairAfter && !k.paired {
		k.paired = true
		for d := range c.capacity {
			if d != k.gpu {
				k.addTable(c.capacity, k.gpu, d)
			}
		}
		k.search(0, 0)
	}
	var parts []part
	for i, n := range k.chosen {
		if n > 0 {
			parts = append(parts, part{item: k.entries[i].item, count: n})
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.item, b.item) })
	return parts, k.best
}

// load takes the items that fit and that no other item beats, the best value per share of the node first.
func (k *knapsack) load(j *job, c *candidate, values []int64, left []int) {
	k.entries = k.entries[:0]
	for i := range j.items {
		if left[i] == 0 || !c.allowed.Has(i) {
			continue
		}
		it := &j.items[i]
		e := entry{part: part{item: i, count: copiesIn(it.size, c.capacity, min(left[i], it.most))}, value: values[i], size: it.size}
		if j.apart != nil {
			e.apart = j.apart[i]
		}
		for d, q := range it.size {
			if d < roughDims {
				e.share += ratio(q, c.capacity[d], grain)
			}
		}
		k.entries = append(k.entries, e)
	}
	slices.SortFunc(k.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.value*a.share, a.value*b.share), cmp.Compare(a.item, b.item))
	})
	k.dropBeaten(c)
	k.free = append(k.free[:0], c.capacity...)
	k.rough = int64(grain * min(len(c.capacity), roughDims))
}

// dropBeaten removes each entry that another one can always replace: no larger, worth no less, apart from no more, and enough of it to fill
// the node.
func (k *knapsack) dropBeaten(c *candidate) {
	kept := k.entries[:0]
	for i := range k.entries {
		e := k.entries[i]
		beaten := false
		for w := range kept {
			o := &kept[w]
			if o.value >= e.value && fits(o.size, e.size) && o.apart.within(e.apart) && o.count >= copiesIn(o.size, c.capacity, o.count+1) {
				beaten = true
				break
			}
		}
		if !beaten {
			kept = append(kept, e)
		}
	}
	k.entries = kept
}

// addTable builds a bound over resource a, in exact units where they are few, and resource b, -1 for none. O(entries x cells).
func (k *knapsack) addTable(capacity Vector, a, b int) {
	if len(k.tables) < cap(k.tables) {
		k.tables = k.tables[:len(k.tables)+1]
	} else {
		k.tables = append(k.tables, table{})
	}
	t := &k.tables[len(k.tables)-1]
	unit := capacity[a]
	for i := range k.entries {
		unit = gcd(unit, k.entries[i].size[a])
	}
	t.rows, t.cols = mostGPUUnits, 0
	if unit > 0 && capacity[a]/unit <= mostGPUUnits {
		t.rows = int(capacity[a] / unit)
	}
	if b >= 0 {
		t.cols = pairGrain
	}
	t.a, t.b = resized(t.a, len(k.entries)), resized(t.b, len(k.entries))
	for i := range k.entries {
		t.a[i] = int(ratio(k.entries[i].size[a], capacity[a], int64(t.rows)))
		if b >= 0 {
			t.b[i] = int(ratio(k.entries[i].size[b], capacity[b], int64(t.cols)))
		}
	}
	t.freeA, t.freeB = t.rows, t.cols
	t.fill(k.entries)
}

func (t *table) fill(entries []entry) {
	width := t.cols + 1
	plane := (t.rows + 1) * width
	t.worth = resized(t.worth, (len(entries)+1)*plane)
	for i := len(entries) - 1; i >= 0; i-- {
		next, here := t.worth[(i+1)*plane:(i+2)*plane], t.worth[i*plane:(i+1)*plane]
		a, b, v := t.a[i], t.b[i], entries[i].value
		if a == 0 && b == 0 {
			for cell := range here {
				here[cell] = next[cell] + v*int64(entries[i].count)
			}
			continue
		}
		copy(here, next)
		step := a*width + b
		for row := a; row <= t.rows; row++ {
			for cell := row*width + b; cell < (row+1)*width; cell++ {
				here[cell] = max(here[cell], here[cell-step]+v)
			}
		}
	}
}

func (t *table) bound(at int) int64 {
	width := t.cols + 1
	return t.worth[at*(t.rows+1)*width+t.freeA*width+t.freeB]
}

// search tries every number of entry at and after it in the space that is free.
func (k *knapsack) search(at int, value int64) {
	if value > k.best {
		k.best = value
		copy(k.chosen, k.counts)
	}
	n := 0
	for at < len(k.entries) {
		if n = copiesIn(k.entries[at].size, k.free, k.entries[at].count); n > 0 && (k.blocked == nil || k.blocked[at] == 0) {
			break
		}
		at++
	}
	if at == len(k.entries) || k.nodes >= k.most || k.hopeless(at, value) {
		return
	}
	if k.nodes++; !k.paired && k.nodes > pairAfter {
		return
	}
	for ; n >= 0; n-- {
		k.take(at, n)
		k.search(at+1, value+int64(n)*k.entries[at].value)
		k.take(at, -n)
	}
}

func (k *knapsack) hopeless(at int, value int64) bool {
	for i := range k.tables {
		if value+k.tables[i].bound(at) <= k.best {
			return true
		}
	}
	share := k.entries[at].share
	return share > 0 && value+k.entries[at].value*k.rough/share <= k.best
}

// take moves n pods of an entry into the node, or out of it for negative n.
func (k *knapsack) take(at, n int) {
	if n == 0 {
		return
	}
	e := &k.entries[at]
	k.counts[at] += n
	k.block(at, n)
	for d, q := range e.size {
		k.free[d] -= q * int64(n)
	}
	k.rough -= e.share * int64(n)
	for i := range k.tables {
		k.tables[i].freeA -= k.tables[i].a[at] * n
		k.tables[i].freeB -= k.tables[i].b[at] * n
	}
}

// block closes the entries that must not share the node with one that comes into it, or opens them again when it leaves. An entry comes
// and leaves as a whole.
func (k *knapsack) block(at, n int) {
	if k.blocked == nil || len(k.entries[at].apart) == 0 {
		return
	}
	step := 1
	if n < 0 {
		step = -1
	}
	for i := range k.entries {
		if k.entries[at].apart.Has(k.entries[i].item) {
			k.blocked[i] += step
		}
	}
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// resized answers a slice of n zeros, in the memory of s if it is enough.
func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}
