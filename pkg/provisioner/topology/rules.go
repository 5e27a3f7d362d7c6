package topology

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// table is the tallies in use, each made once.
type table struct {
	world   *World
	pods    map[demand.Term]*tally // of pods that are there at all: affinity
	repel   map[demand.Term]*tally // of pods with the term as anti-affinity
	spreads map[spreadKey]*tally   // of pods that last, on places that count
	order   []*tally               // of spreads, as made
}

type spreadKey struct {
	term     demand.Term
	eligible string
	narrowed string
}

func newTable(w *World) *table {
	return &table{world: w, pods: map[demand.Term]*tally{}, repel: map[demand.Term]*tally{}, spreads: map[spreadKey]*tally{}}
}

// podsOf counts the pods that a term chooses, those that are terminating included, as affinity does.
func (tb *table) podsOf(term demand.Term) *tally {
	if t := tb.pods[term]; t != nil {
		return t
	}
	t := newTally(tb.world.column(term.TopologyKey))
	for i := range tb.world.places {
		if n := tb.world.places[i].Chosen[term.Selector]; n > 0 {
			t.add(i, n, n)
		}
	}
	tb.pods[term] = t
	return t
}

// repelOf counts the pods that keep those away which the term chooses.
func (tb *table) repelOf(term demand.Term) *tally {
	if t := tb.repel[term]; t != nil {
		return t
	}
	t := newTally(tb.world.column(term.TopologyKey))
	if base := tb.world.repels[term]; base != nil {
		copy(t.lo, base.lo)
		copy(t.hi, base.hi)
	}
	tb.repel[term] = t
	return t
}

// spreadOf counts for a constraint of a class, on the places that count for it: those that have all keys of the class's required
// constraints, and that its policies for node affinity and taints let in.
func (tb *table) spreadOf(c *Class, s demand.Spread) *tally {
	eligible := tb.world.eligible(c, s)
	narrowed := tb.world.narrowed(c, s, eligible)
	key := spreadKey{s.Term, print(eligible), fmt.Sprint(narrowed)} // maps are printed in the order of their keys
	if t := tb.spreads[key]; t != nil {
		return t
	}
	t := newTally(tb.world.column(s.TopologyKey))
	t.eligible, t.narrowed = eligible, narrowed
	for i := range tb.world.places {
		if !tb.world.stands(i) || !eligible.Has(i) {
			continue
		}
		t.stand(i)
		if n := tb.world.places[i].Lasting[s.Selector]; n > 0 {
			t.add(i, n, n)
		}
	}
	tb.spreads[key] = t
	tb.order = append(tb.order, t)
	return t
}

// KeepsOff tells whether the anti-affinity of a pod that is, or may be, in a domain of these labels keeps off a pod that the selectors choose.
func (w *World) KeepsOff(labels map[string]string, chosen []demand.SelectorKey) bool {
	for term, t := range w.repels {
		value, has := labels[term.TopologyKey]
		if v, known := t.index[value]; has && known && t.hi[v] > 0 && slices.Contains(chosen, term.Selector) {
			return true
		}
	}
	return false
}

// eligibleOnce remembers what eligible answers, for who asks place by place or pod by pod.
func (w *World) eligibleOnce(c *Class, s demand.Spread) binpack.Set {
	key := classSpread{c, s}
	set, known := w.eligibles[key]
	if !known {
		set = w.eligible(c, s)
		w.eligibles[key] = set
	}
	return set
}

// eligible answers the places that count for a spread of a class.
func (w *World) eligible(c *Class, s demand.Spread) binpack.Set {
	set := binpack.NewSet(len(w.places))
	var selected, tolerated binpack.Set
	if !s.AnyNode {
		selected = c.Selected()
	}
	if s.HonorTaints {
		tolerated = c.Tolerated()
	}
	var keys []*column
	for _, other := range c.Spread {
		if other.TopologyKey != Hostname && (!other.Soft || other == s) {
			keys = append(keys, w.column(other.TopologyKey))
		}
	}
	for i := range w.places {
		lacks := func(col *column) bool { return col.at[i] == absent }
		if (s.AnyNode || selected.Has(i)) && (!s.HonorTaints || tolerated.Has(i)) && !slices.ContainsFunc(keys, lacks) {
			set.Add(i)
		}
	}
	return set
}

// narrowed answers, for the eligible places whose domain is not certain, the domains in which they would count: where a place turns out to be what
// node affinity does not accept, kube-scheduler sees no domain. Nil: nothing is narrowed.
func (w *World) narrowed(c *Class, s demand.Spread, eligible binpack.Set) map[int][]int {
	col := w.column(s.TopologyKey)
	if s.AnyNode || c.SelectedAs == nil || len(col.maybe) == 0 {
		return nil
	}
	list := map[int][]int{}
	for place := range col.maybe {
		if !eligible.Has(place) {
			continue
		}
		list[place] = []int{}
		for n, labels := range w.places[place].Labels {
			value, has := labels[s.TopologyKey]
			if v := col.index[value]; has && c.SelectedAs(place, n) && !slices.Contains(list[place], v) {
				list[place] = append(list[place], v)
			}
		}
	}
	return list
}

// TogetherAtMost answers how many chosen pods may come to one domain of the usable places together by a spread of a class over other than
// single nodes, as things stand; binpack.MaxCount where no other domain binds them.
func (w *World) TogetherAtMost(c *Class, s demand.Spread, usable binpack.Set) int {
	t := newTable(w).spreadOf(c, s)
	most := 0
	for place, v := range t.at {
		if v < 0 || !usable.Has(place) {
			continue
		}
		others := t.leastWith(v, binpack.MaxCount, int(s.MinDomains))
		if others >= t.lo[v]+binpack.MaxCount {
			return binpack.MaxCount
		}
		most = max(most, int(s.MaxSkew)+others-t.hi[v])
	}
	return most
}

func print(s binpack.Set) string {
	b := make([]byte, 0, 8*len(s))
	for _, word := range s {
		for shift := 0; shift < 64; shift += 8 {
			b = append(b, byte(word>>shift))
		}
	}
	return string(b)
}

// rulesOf compiles the rules of a class: required ones, then preferences, heaviest first, then soft spreads.
func (tb *table) rulesOf(p *player, soft bool) {
	key := func(t demand.Term) int { return slices.Index(p.keys, t.TopologyKey) }
	for _, s := range p.Spread {
		if k := key(s.Term); k >= 0 && (soft || !s.Soft) {
			r := rule{kind: spread, term: s.Term, key: k, pods: tb.spreadOf(p.Class, s), self: p.Chosen[s.Selector], skew: int(s.MaxSkew), minDomains: int(s.MinDomains)}
			if s.Soft {
				r.weight, r.minDomains = 1, 0
			}
			p.rules = append(p.rules, r)
		}
	}
	for _, t := range p.Near {
		if k := key(t); k >= 0 && t.TopologyKey != Hostname {
			p.rules = append(p.rules, rule{kind: near, term: t, key: k, pods: tb.podsOf(t), kin: tb.kin(p.Near, t.Selector), self: p.Chosen[t.Selector]})
		}
	}
	for _, t := range p.Apart {
		if k := key(t); k >= 0 && t.TopologyKey != Hostname {
			p.rules = append(p.rules, rule{kind: apart, term: t, key: k, pods: tb.podsOf(t), self: p.Chosen[t.Selector]})
			p.repels = append(p.repels, counting{tb.repelOf(t), k, 1})
		}
	}
	if soft {
		for _, w := range p.Preferred {
			if k := key(w.Term); k >= 0 && w.TopologyKey != Hostname {
				pods := tb.podsOf(w.Term)
				r := rule{kind: near, term: w.Term, key: k, pods: pods, kin: []*tally{pods}, self: p.Chosen[w.Selector], weight: 1 + int(w.Weight)}
				if w.Weight < 0 {
					r.kind, r.weight = apart, 1-int(w.Weight)
				}
				p.rules = append(p.rules, r)
			}
		}
	}
	slices.SortStableFunc(p.rules, func(a, b rule) int {
		return cmp.Or(cmp.Compare(min(1, a.weight), min(1, b.weight)), -cmp.Compare(a.weight, b.weight))
	})
	p.hard = len(p.rules)
	for p.hard > 0 && p.rules[p.hard-1].weight > 0 {
		p.hard--
	}
}

// kin are the tallies of all affinity terms with a selector: while a pod is in any of their domains, nobody is the first of its kind, since
// kube-scheduler counts for all of a pod's terms together. Those on single nodes are seen to by Together.
func (tb *table) kin(terms []demand.Term, selector demand.SelectorKey) []*tally {
	var list []*tally
	for _, t := range terms {
		if t.Selector == selector && t.TopologyKey != Hostname {
			list = append(list, tb.podsOf(t))
		}
	}
	return list
}

// connect finds out which tallies a class's pods change. It is called when all rules are compiled.
func (tb *table) connect(p *player) {
	for k, key := range p.keys {
		for _, selector := range slices.Sorted(maps.Keys(p.Chosen)) {
			n := p.Chosen[selector]
			if t := tb.pods[demand.Term{TopologyKey: key, Selector: selector}]; t != nil {
				p.counted = append(p.counted, counting{t, k, n})
			}
			if t := tb.repel[demand.Term{TopologyKey: key, Selector: selector}]; t != nil {
				p.repeled = append(p.repeled, counting{t, k, n})
			}
		}
	}
}

// connectSpreads does so for the spread tallies, which are listed by key.
func (tb *table) connectSpreads(p *player, byKey map[string][]spreadTally) {
	for k, key := range p.keys {
		for _, s := range byKey[key] {
			p.lookers = append(p.lookers, counting{s.pods, k, 0})
			if n := p.Chosen[s.selector]; n > 0 {
				c := counting{s.pods, k, n}
				p.counted = append(p.counted, c)
				p.wishes = append(p.wishes, c)
			}
		}
	}
}

type spreadTally struct {
	pods     *tally
	selector demand.SelectorKey
}

// broken tells which rule of the first n an item breaks in the domains of a cell; negative: none, -2 if others' anti-affinity does.
func (p *player) broken(at []int, n int) int {
	for i := range p.rules[:n] {
		if !p.rules[i].holds(at[p.rules[i].key]) {
			return i
		}
	}
	for _, r := range p.repeled {
		if v := at[r.key]; v >= 0 && r.pods.hi[v] > 0 {
			return repelled
		}
	}
	return passes
}

const (
	passes   = -1
	repelled = -2
)

// holds is kube-scheduler's filter: podtopologyspread/filtering.go and interpodaffinity/filtering.go of v1.37. v is the domain, absent
// if the place has none.
func (r *rule) holds(v int) bool {
	switch r.kind {
	case spread:
		return v >= 0 && r.pods.hi[v]+r.self-r.pods.leastWith(v, r.self-1, r.minDomains) <= r.skew
	case near:
		return v >= 0 && (r.pods.lo[v] > 0 || r.self > 0 && r.first())
	default:
		return v < 0 || r.pods.hi[v] == 0
	}
}

// first tells whether no pod of its kind may be anywhere yet.
func (r *rule) first() bool {
	return !slices.ContainsFunc(r.kin, func(t *tally) bool { return t.hiAll > 0 })
}

// put counts n items in the domains of a cell.
func (p *player) put(c *Cell, n int) {
	if c.dealt == 0 {
		for _, l := range p.lookers {
			if v := c.at[l.key]; v >= 0 && c.cover(l.pods) != none {
				l.pods.open(v)
			}
		}
	}
	c.dealt += n
	p.total += n
	if p.few {
		p.crowd[c.Name] += n
	}
	for _, count := range p.counted {
		v := c.at[count.key]
		if v < 0 {
			continue
		}
		switch c.cover(count.pods) {
		case wholly:
			count.pods.put(v, n*count.n, n*count.n)
		case partly:
			count.pods.put(v, 0, n*count.n)
		}
	}
	for i := range p.rules[:p.hard] {
		if r := &p.rules[i]; r.kind == spread {
			r.pods.bound = true
		}
	}
	for _, r := range p.repels {
		if v := c.at[r.key]; v >= 0 {
			r.pods.put(v, n, n)
		}
	}
}
