package binpack

import (
	"cmp"
	"slices"
)

// mostCands is the most candidates that greedy and columns look at in one job; linear prices leave hundreds that none beats.
const mostCands = 128

// shortlisted answers the job with fewer candidates: those on which an item alone is cheapest, and of those which allow the same items the
// ones that could hold the most worth per price if their scarcest resource were the only one. Each item that has candidates keeps one.
func (j *job) shortlisted(left []int) *job {
	if len(j.cands) <= mostCands {
		return j
	}
	keep := make([]bool, len(j.cands))
	values := make([]int64, len(j.items))
	for i := range j.items {
		many, few, each := j.cheapestFor(i, left[i])
		keep[many], keep[few], values[i] = true, true, each
	}
	type ranked struct {
		cand  int
		score float64
	}
	groups, order := map[string][]ranked{}, []string{}
	for c := range j.cands {
		key := j.cands[c].allowed.key()
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], ranked{c, j.promise(c, values)})
	}
	for _, key := range order {
		group := groups[key]
		slices.SortFunc(group, func(a, b ranked) int { return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.cand, b.cand)) })
		for _, r := range group[:min(len(group), max(4, mostCands/len(order)))] {
			keep[r.cand] = true
		}
	}
	short := &job{items: j.items, apart: j.apart}
	for c := range j.cands {
		if keep[c] {
			short.cands = append(short.cands, j.cands[c])
		}
	}
	return short
}

// cheapestFor answers the candidates with the least price per pod of the item, if there are as many as a node holds and if there are so few, and
// the former's price; 0, 0, 0 if there is none.
func (j *job) cheapestFor(i, few int) (atMany, atFew int, each int64) {
	it, many, least := &j.items[i], int64(-1), int64(-1)
	few = max(1, few)
	for c := range j.cands {
		if !j.cands[c].allowed.Has(i) {
			continue
		}
		n := copiesIn(it.size, j.cands[c].capacity, it.most)
		price := j.cands[c].price * valueScale
		if p := price / int64(n); many < 0 || p < many {
			atMany, many, each = c, p, max(1, p)
		}
		if p := price / int64(min(n, few)); least < 0 || p < least {
			atFew, least = c, p
		}
	}
	return atMany, atFew, each
}

// promise bounds what a candidate can hold per price, by each resource alone.
func (j *job) promise(c int, values []int64) float64 {
	cand := &j.cands[c]
	least := -1.0
	for d, have := range cand.capacity {
		most := 0.0
		for i := range j.items {
			if q := j.items[i].size[d]; cand.allowed.Has(i) {
				if q == 0 {
					most = -1
					break
				}
				most = max(most, float64(values[i])/float64(q))
			}
		}
		if most >= 0 && (least < 0 || most*float64(have) < least) {
			least = most * float64(have)
		}
	}
	return least / float64(cand.price)
}

// key answers the set as a string, for maps.
func (s Set) key() string { return string(s.appendTo(nil)) }
