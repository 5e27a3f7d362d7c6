package binpack

import (
	"math/bits"
	"slices"
)

// purchase is some equal nodes that a pass wants to buy.
type purchase struct {
	cand, copies int
	parts        []part
	free         Vector // of each copy; only firstFit keeps it
}

// offer is what a candidate can hold at best: contents of that value, or none yet and no more than that value.
type offer struct {
	parts    []part
	value    int64
	stranded int64
	gone     bool
}

// greedy buys, again and again, the candidate and contents with the most value per price, until nothing that is left fits what may be
// bought. Pods only get fewer, so an old value is an upper bound: a candidate is looked at again only when it comes first and its contents
// are no longer there (Minoux's lazy evaluation), and then only for contents that beat the best that is known. left and led are used up.
// O(patterns bought x (candidates + stale offers x knapsack)).
func (s *solver) greedy(j *job, values []int64, left []int, led *ledger) []purchase {
	offers := make([]offer, len(j.cands))
	p := s.newPricer(j, left)
	p.worth = values
	for c := range offers {
		offers[c].value = mostBound
	}
	var out []purchase
	for {
		c := best(j, offers)
		if c < 0 {
			return out
		}
		cand, of := &j.cands[c], &offers[c]
		copies := 0
		if of.parts != nil {
			copies = copiesLeft(of.parts, left)
		}
		if copies == 0 {
			s.reconsider(p, c, offers, left)
			continue
		}
		o := &s.p.Offerings[cand.offering]
		if copies = led.afford(o, cand.offering, copies); copies == 0 {
			of.gone = true // room and stock only shrink during a pass
			continue
		}
		led.spend(o, cand.offering, copies)
		for _, p := range of.parts {
			left[p.item] -= p.count * copies
		}
		out = append(out, purchase{cand: c, copies: copies, parts: of.parts})
	}
}

// reconsider looks for contents of a candidate that are worth no less per price than the best contents that are still there, and else
// notes that there are none.
func (s *solver) reconsider(p *pricer, c int, offers []offer, left []int) {
	of, rival := &offers[c], -1
	for other := range offers {
		r := &offers[other]
		if other != c && !r.gone && r.parts != nil && copiesLeft(r.parts, left) > 0 &&
			(rival < 0 || better(r, p.j.cands[other].price, &offers[rival], p.j.cands[rival].price)) {
			rival = other
		}
	}
	target := int64(0)
	if rival >= 0 {
		target = max(0, scaled(offers[rival].value, p.j.cands[c].price, p.j.cands[rival].price)-1)
	}
	nodes := knapsackNodes
	parts, value, upper := p.price(c, target, nodes)
	of.parts, of.value = parts, value
	if parts == nil {
		of.value = min(target, upper)
		of.gone = of.value <= 0
		return
	}
	if s.p.GPU >= 0 {
		of.stranded = p.j.cands[c].capacity[s.p.GPU]
		for _, part := range parts {
			of.stranded -= p.j.items[part.item].size[s.p.GPU] * int64(part.count)
		}
	}
}

// scaled answers v times by over of, rounded down, mostBound at the most.
func scaled(v, by, of int64) int64 {
	hi, lo := bits.Mul64(uint64(v), uint64(by))
	if hi >= uint64(of) {
		return mostBound
	}
	q, _ := bits.Div64(hi, lo, uint64(of))
	return int64(min(q, mostBound))
}

// best answers the offer with the most value per price; then the one that strands fewer GPUs; then the dearer one, which means fewer
// nodes; then the first by price and name. -1 if all are gone.
func best(j *job, offers []offer) int {
	at := -1
	for c := range offers {
		if offers[c].gone {
			continue
		}
		if at < 0 || better(&offers[c], j.cands[c].price, &offers[at], j.cands[at].price) {
			at = c
		}
	}
	return at
}

func better(a *offer, aPrice int64, b *offer, bPrice int64) bool {
	aHi, aLo := bits.Mul64(uint64(a.value), uint64(bPrice))
	bHi, bLo := bits.Mul64(uint64(b.value), uint64(aPrice))
	switch {
	case aHi != bHi:
		return aHi > bHi
	case aLo != bLo:
		return aLo > bLo
	case (a.parts == nil) != (b.parts == nil):
		return a.parts == nil // it may be better yet
	case a.stranded != b.stranded:
		return a.stranded < b.stranded
	}
	return aPrice > bPrice
}

func copiesLeft(parts []part, left []int) int {
	n := left[parts[0].item] / parts[0].count
	for _, p := range parts[1:] {
		n = min(n, left[p.item]/p.count)
	}
	return n
}

// firstFit is the simple baseline, by class: each item in its turn, largest first, goes onto what was bought for the ones before it, and
// what is left of it gets nodes of the one offering that holds it cheapest. When nothing binds, that is no dearer than every item alone on
// whole nodes of its cheapest offering. left and led are used up. O(items x (purchases + candidates)).
func (s *solver) firstFit(j *job, turn []int, left []int, led *ledger) []purchase {
	var out []purchase
	for _, i := range turn {
		it := &j.items[i]
		for at := 0; at < len(out) && left[i] > 0; at++ {
			if j.cands[out[at].cand].allowed.Has(i) && j.joins(i, out[at].parts) {
				out = s.joinPurchase(out, at, i, it, left)
			}
		}
		for left[i] > 0 {
			c, n := s.cheapestAlone(j, i, left[i], led)
			if c < 0 {
				break
			}
			cand := &j.cands[c]
			o := &s.p.Offerings[cand.offering]
			copies := led.afford(o, cand.offering, left[i]/n)
			led.spend(o, cand.offering, copies)
			left[i] -= copies * n
			out = append(out, purchase{cand: c, copies: copies, parts: []part{{item: i, count: n}}, free: minus(cand.capacity, it.size, n)})
		}
	}
	return out
}

// joinPurchase adds what is left of an item to copies of a purchase that have room, splitting the copies that get less.
func (s *solver) joinPurchase(out []purchase, at, i int, it *item, left []int) []purchase {
	p := out[at]
	n := copiesIn(it.size, p.free, min(it.most, left[i]))
	if n == 0 {
		return out
	}
	copies := min(p.copies, left[i]/n)
	left[i] -= copies * n
	joined := purchase{cand: p.cand, copies: copies, parts: append(slices.Clone(p.parts), part{item: i, count: n}), free: minus(p.free, it.size, n)}
	out[at] = joined
	if p.copies > copies {
		p.copies -= copies
		out = append(out, p)
	}
	return out
}

// cheapestAlone answers the candidate that holds the pods of the item, alone, at the least total price of whole nodes, and how many of
// them a node takes; -1 if none can be bought. Choosing again for what remains never makes the total dearer.
func (s *solver) cheapestAlone(j *job, i, left int, led *ledger) (cand, n int) {
	cand = -1
	var least int64
	for c := range j.cands {
		if !j.cands[c].allowed.Has(i) || led.afford(&s.p.Offerings[j.cands[c].offering], j.cands[c].offering, 1) == 0 {
			continue
		}
		fit := copiesIn(j.items[i].size, j.cands[c].capacity, min(left, j.items[i].most))
		if total := j.cands[c].price * int64((left+fit-1)/fit); cand < 0 || total < least {
			cand, n, least = c, fit, total
		}
	}
	return cand, n
}
