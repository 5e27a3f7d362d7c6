package binpack

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// everyContent answers what the best contents of one node are worth, by trying all.
func everyContent(j *job, worth []int64, left []int, free Vector, at int, inside []int) int64 {
	if at == len(j.items) {
		return 0
	}
	best := everyContent(j, worth, left, free, at+1, inside)
	for _, i := range inside {
		if j.clash(at, i) {
			return best
		}
	}
	for n := 1; n <= copiesIn(j.items[at].size, free, min(left[at], j.items[at].most)); n++ {
		rest := everyContent(j, worth, left, minus(free, j.items[at].size, n), at+1, append(inside[:len(inside):len(inside)], at))
		best = max(best, int64(n)*worth[at]+rest)
	}
	return best
}

func drawKnapsack(t *rapid.T) (s *solver, j *job, worth []int64, left []int) {
	s = &solver{p: Problem{Resources: []string{"cpu", "mem", "gpu"}, GPU: rapid.SampledFrom([]int{2, 2, -1}).Draw(t, "gpu")}}
	gpus := rapid.SampledFrom([]int64{0, 1, 4, 8}).Draw(t, "gpus")
	grain := rapid.SampledFrom([]int{1, 1, 997}).Draw(t, "grain") // so that a bucket of a grid is more than one
	amount := func(from, to int, name string) int64 {
		return int64(rapid.IntRange(from, to).Draw(t, name)*grain + rapid.IntRange(0, grain-1).Draw(t, name))
	}
	fine := rapid.SampledFrom([]int64{1, 1 << 24}).Draw(t, "fine") // what is worth little has no multipliers: they are whole numbers per grain
	j = &job{}
	all := NewSet(8)
	for i := range rapid.IntRange(1, 6).Draw(t, "items") {
		size := Vector{amount(0, 9, "cpu"), amount(1, 9, "mem"), int64(rapid.IntRange(0, int(min(2, gpus))).Draw(t, "gpu"))}
		j.items = append(j.items, item{demand: i, size: size, most: rapid.SampledFrom([]int{1, 2, 100}).Draw(t, "most")})
		worth, left = append(worth, fine*int64(rapid.IntRange(1, 1000).Draw(t, "worth"))), append(left, rapid.IntRange(1, 5).Draw(t, "left"))
		all.Add(i)
	}
	if rapid.Bool().Draw(t, "apart") {
		j.apart = make([]Set, len(j.items))
		for i := range j.apart {
			j.apart[i] = NewSet(len(j.items))
		}
		for i := 1; i < len(j.items); i++ {
			if rapid.Bool().Draw(t, "keeps away") {
				j.apart[i].Add(i - 1)
				j.apart[i-1].Add(i)
			}
		}
	}
	capacity := Vector{amount(1, 30, "cpu"), amount(1, 30, "mem"), gpus}
	j.cands = []candidate{{price: 1, capacity: capacity, allowed: all}}
	return s, j, worth, left
}

// worthOf sums the worth of contents and refuses those that do not fit.
func worthOf(j *job, worth []int64, left []int, parts []part) (sum int64, err error) {
	free := j.cands[0].capacity
	for at, p := range parts {
		if p.count < 1 || p.count > min(left[p.item], j.items[p.item].most) {
			return 0, fmt.Errorf("%d of item %d", p.count, p.item)
		}
		for _, q := range parts[:at] {
			if j.clash(p.item, q.item) {
				return 0, fmt.Errorf("%d and %d share a node", p.item, q.item)
			}
		}
		if copiesIn(j.items[p.item].size, free, p.count) < p.count {
			return 0, fmt.Errorf("%d of item %d are too much", p.count, p.item)
		}
		free = minus(free, j.items[p.item].size, p.count)
		sum += worth[p.item] * int64(p.count)
	}
	return sum, nil
}

// The knapsack finds the best contents if it may search, and never answers a bound that some contents exceed, however little it searches.
func TestKnapsackAgainstEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, j, worth, left := drawKnapsack(t)
		best := everyContent(j, worth, left, j.cands[0].capacity, 0, nil)
		target := best * int64(rapid.IntRange(0, 150).Draw(t, "target")) / 100
		nodes := rapid.SampledFrom([]int{0, 1, 5, 1_000_000}).Draw(t, "nodes")
		p := pricer{thorough: rapid.Bool().Draw(t, "thorough")}
		parts, value, upper := p.single(s, j, &j.cands[0], worth, left, target, nodes)
		if upper < best {
			t.Fatalf("the best is worth %d, the bound says %d over %d", best, upper, target)
		}
		if parts != nil {
			if sum, err := worthOf(j, worth, left, parts); err != nil || sum != value || value <= target {
				t.Fatalf("%v: worth %d, not %d over %d, %v", parts, sum, value, target, err)
			}
		}
		if nodes == 1_000_000 && !p.loose && best > target && value != best {
			t.Fatalf("found %d, the best is %d", value, best)
		}
	})
}

func TestKnapsackAgainstEverything_catches(t *testing.T) {
	j := &job{items: []item{{size: Vector{2, 1}, most: 9}, {size: Vector{3, 1}, most: 9}}, cands: []candidate{{capacity: Vector{6, 9}}}}
	worth, left := []int64{20, 31}, []int{9, 9}
	if best := everyContent(j, worth, left, j.cands[0].capacity, 0, nil); best != 62 {
		t.Errorf("the best is 62, not %d", best)
	}
	if _, err := worthOf(j, worth, left, []part{{0, 2}, {1, 1}}); err == nil {
		t.Error("contents that do not fit are worth something")
	}
}

// A bound that counts a resource in buckets is no less than the best contents, which one with a bucket too few would be.
func TestGridBound_catches(t *testing.T) {
	const best = 30
	bound := func(few int) int64 {
		j := &job{items: []item{{size: Vector{500, 1}, most: 4}, {size: Vector{700, 1}, most: 4}}, cands: []candidate{{capacity: Vector{1000, 4}}}}
		p := &pricer{s: &solver{p: Problem{Resources: []string{"mem", "gpu"}, GPU: 1}}, j: j, worth: []int64{15, 16}, left: []int{4, 4}}
		f := &form{}
		p.shape(f, j.cands[0].capacity)
		p.at, p.most, p.reduced = []int{0, 1}, []int{2, 1}, []int64{15, 16}
		p.search.order = []merit{{1, 0}, {1, 1}}
		g, ok := p.search.gridOf(f, []int64{1})
		if !ok {
			t.Fatal("there is no grid")
		}
		g.buckets -= few
		return p.lay(f, []int64{0}, g)
	}
	if got := bound(0); got != best {
		t.Errorf("the bound is %d, want %d", got, best)
	}
	if got := bound(1); got >= best {
		t.Errorf("a grid that lacks a bucket still bounds by %d", got)
	}
}
