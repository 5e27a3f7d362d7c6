package binpack

import "math"

// mostStates bounds the multisets that an exact repacking looks at.
const mostStates = 2048

// tie is how many units of weight a micro-dollar is.
const tie = 1 << 18

// weigh answers what exact repacking minimises: the price, then the GPUs bought, then the nodes. Nodes of one repacking are
// fewer than mostStates, so the lower bits never reach the price.
func (s *solver) weigh(c *candidate) int64 {
	w := s.p.Offerings[c.offering].PriceMicroUSDPerHour*tie + 1
	if s.p.GPU >= 0 && s.mostGPU > 0 {
		w += ratio(c.capacity[s.p.GPU], s.mostGPU, 64) * 2
	}
	return w
}

// subsets is a dynamic programme over the sub-multisets of a few pods: node[m] is the lightest candidate that holds the multiset m on one
// node, cost[m] the cheapest way to buy nodes for all of m. A multiset is a number in the mixed radix of its counts plus one.
type subsets struct {
	counts []int // pods of each item
	stride []int
	cost   []int64
	first  []int // index in job.cands of the first that holds the multiset; len(cands): none
	node   []int // index in job.cands of the lightest that holds it
	weight []int64
	split  []int // the multiset that the first node of the cheapest way holds
	sum    []Vector
	digits []int
}

// repack answers the lightest purchases for exactly these pods when limits and stock are ignored, given what each candidate, lightest
// first, weighs; ok is false if the multisets are too many or some pod has no candidate. O(pairs of multisets + multisets x candidates): at most mostStates^2/2.
func (s *solver) repack(j *job, weights []int64, counts []int) (purchases []purchase, ok bool) {
	return s.repackBy(j, counts, mostStates, func(m *subsets, at int) (int, int64) { return m.first[at], weights[m.first[at]] })
}

// repackBy is repack with at most so many multisets, when lightest answers the candidate for a multiset that some candidate holds, and what
// it weighs there.
func (s *solver) repackBy(j *job, counts []int, most int, lightest func(m *subsets, at int) (int, int64)) (purchases []purchase, ok bool) {
	m := &subsets{counts: counts, stride: make([]int, len(counts))}
	states := 1
	for i, n := range counts {
		m.stride[i] = states
		if states *= n + 1; states > most {
			return nil, false
		}
	}
	m.cost, m.split, m.sum = make([]int64, states), make([]int, states), make([]Vector, states)
	m.first, m.node, m.weight = make([]int, states), make([]int, states), make([]int64, states)
	m.digits = make([]int, len(counts))
	m.sum[0] = make(Vector, len(s.p.Resources))
	for at := 1; at < states; at++ {
		m.count()
		m.single(j, at)
		if m.first[at] < len(j.cands) {
			m.node[at], m.weight[at] = lightest(m, at)
		}
		s.steps -= 2 + m.cheapest(j, at)/8
	}
	if m.cost[states-1] == math.MaxInt64 {
		return nil, false
	}
	for at := states - 1; at > 0; at -= m.split[at] {
		purchases = append(purchases, purchase{cand: m.node[m.split[at]], copies: 1, parts: m.parts(m.split[at])})
	}
	return purchases, true
}

// count moves digits to the next multiset.
func (m *subsets) count() {
	for i := range m.digits {
		if m.digits[i]++; m.digits[i] <= m.counts[i] {
			return
		}
		m.digits[i] = 0
	}
}

// single finds the cheapest candidate that holds the multiset of digits on one node. One that holds it also holds what remains without any
// of its pods, so the search begins where theirs ended.
func (m *subsets) single(j *job, at int) {
	first := 0
	for i, n := range m.digits {
		if n == 0 {
			continue
		}
		first = max(first, m.first[at-m.stride[i]])
		if m.sum[at] == nil {
			m.sum[at] = minus(m.sum[at-m.stride[i]], j.items[i].size, -1)
		}
		if n > j.items[i].most || m.torn(j, i) {
			first = len(j.cands)
		}
	}
	for first < len(j.cands) && !m.holds(j, &j.cands[first], at) {
		first++
	}
	m.first[at] = first
}

// torn tells whether the multiset of digits has an item that must keep away from item i.
func (m *subsets) torn(j *job, i int) bool {
	for k, n := range m.digits[:i] {
		if n > 0 && j.clash(i, k) {
			return true
		}
	}
	return false
}

func (m *subsets) holds(j *job, c *candidate, at int) bool {
	for i, n := range m.digits {
		if n > 0 && !c.allowed.Has(i) {
			return false
		}
	}
	return fits(m.sum[at], c.capacity)
}

// cheapest finds the first node of the cheapest way to hold a multiset: every part of it that contains a pod of its highest item. It
// answers how many it looked at.
func (m *subsets) cheapest(j *job, at int) (looked int) {
	m.cost[at] = math.MaxInt64
	top := len(m.digits) - 1
	for m.digits[top] == 0 {
		top--
	}
	sub := make([]int, top+1)
	for part := 0; ; looked++ {
		i := 0
		for ; i <= top; i++ {
			if sub[i] < m.digits[i] {
				sub[i]++
				part += m.stride[i]
				break
			}
			part -= m.stride[i] * sub[i]
			sub[i] = 0
		}
		if i > top {
			return looked
		}
		if sub[top] == 0 || m.first[part] == len(j.cands) || m.cost[at-part] == math.MaxInt64 {
			continue
		}
		if c := m.weight[part] + m.cost[at-part]; c < m.cost[at] {
			m.cost[at], m.split[at] = c, part
		}
	}
}

func (m *subsets) parts(at int) []part {
	var parts []part
	for i := range m.counts {
		if n := at / m.stride[i] % (m.counts[i] + 1); n > 0 {
			parts = append(parts, part{item: i, count: n})
		}
	}
	return parts
}
