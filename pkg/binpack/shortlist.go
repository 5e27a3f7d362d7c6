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
	values := j.values(left, false)
	for i := range j.items {
		keep[j.cheapestFor(i, j.items[i].most)] = true
		keep[j.cheapestFor(i, min(j.items[i].most, max(1, left[i])))] = true
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

// cheapestFor answers the candidate with the least price per pod of the item, at most that many on a node; 0 if there is none.
func (j *job) cheapestFor(i, most int) int {
	at, least := 0, int64(-1)
	for c := range j.cands {
		if !j.cands[c].allowed.Has(i) {
			continue
		}
		if each := j.cands[c].price * valueScale / int64(copiesIn(j.items[i].size, j.cands[c].capacity, most)); least < 0 || each < least {
			at, least = c, each
		}
	}
	return at
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
