package binpack

import (
	"cmp"
	"math/bits"
	"slices"
)

// item is a demand while it is being packed at one of its levels.
type item struct {
	demand, level int
	size          Vector
	most          int // per node
}

// candidate is an offering that is worth a look for the items of a job.
type candidate struct {
	offering int
	price    int64 // what the packing minimises, >= 1: money, or the share of the limits when those are scarce
	capacity Vector
	allowed  Set // over the items: allowed there, and fits at least once; shared, nobody changes it
	bounded  bool
}

// job is what one pass packs: items by index, and the candidates that survive dominance, cheapest first.
type job struct {
	items []item
	cands []candidate
	apart []Set // by item: those that it must not share a node with; nil: no two
}

// newJob collects the candidates of one tier that can be bought now. O(offerings x candidates kept), and see admission.
func (s *solver) newJob(items []item, tier int, led *ledger, scarce bool) *job {
	j := &job{items: items, apart: s.apartItems(items)}
	admits := s.newAdmission(items)
	var all []candidate
	for i := range s.p.Offerings {
		o := &s.p.Offerings[i]
		if o.Tier != tier || o.Closed != Open || led.afford(o, i, 1) == 0 {
			continue
		}
		c := candidate{offering: i, price: max(1, o.PriceMicroUSDPerHour), capacity: s.p.Shapes[o.Shape].Capacity, bounded: led.stock[i] >= 0}
		if scarce {
			c.price = s.scarcity(o, led)
		}
		if c.allowed = admits.to(i); c.allowed != nil {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.price, b.price) })
	j.cands = s.undominated(all)
	return j
}

// undominated answers those of the candidates, cheapest first, that no earlier one dominates. Where prices grow with sizes it looks at few
// pairs: it goes back from the dearest and stops where none of those before, taken together, is as large.
func (s *solver) undominated(all []candidate) (kept []candidate) {
	var largest []Vector // of each resource, of kept up to each
	for i := range all {
		beaten := false
		for k := len(kept) - 1; k >= 0 && !beaten && fits(all[i].capacity, largest[k]); k-- {
			beaten = s.dominates(&kept[k], &all[i])
		}
		if beaten {
			continue
		}
		top := slices.Clone(all[i].capacity)
		if len(kept) > 0 {
			for d, q := range largest[len(kept)-1] {
				top[d] = max(top[d], q)
			}
		}
		kept, largest = append(kept, all[i]), append(largest, top)
	}
	return kept
}

// dominates tells whether a can always be bought instead of b: no dearer (a comes first), at least as large, allowed to as many
// items, never out of stock and no heavier on any limit.
func (s *solver) dominates(a, b *candidate) bool {
	if a.bounded || !fits(b.capacity, a.capacity) {
		return false
	}
	if !b.allowed.within(a.allowed) {
		return false
	}
	charged := s.p.Offerings[b.offering].Charges
	for _, c := range s.p.Offerings[a.offering].Charges {
		for len(charged) > 0 && charged[0].Limit < c.Limit {
			charged = charged[1:]
		}
		if c.Amount > 0 && (len(charged) == 0 || charged[0].Limit != c.Limit || charged[0].Amount < c.Amount) {
			return false
		}
	}
	return true
}

// scarcity prices an offering by the share of the remaining limits that it takes; money only breaks ties.
func (s *solver) scarcity(o *Offering, led *ledger) int64 {
	const whole = 1 << 30
	price := 1 + o.PriceMicroUSDPerHour*1024/max(1, s.dearest)
	for _, c := range o.Charges {
		if have := led.room[c.Limit]; c.Amount > 0 && have > 0 {
			price += ratio(c.Amount, have, whole)
		}
	}
	return price
}

// ratio answers part/of in units of 1/scale, rounded down, for 0 <= part <= of; 0 of 0 is 0.
func ratio(part, of, scale int64) int64 {
	if of == 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(part), uint64(scale))
	q, _ := bits.Div64(hi, lo, uint64(of))
	return int64(q)
}

// valueScale is how many units of value one unit of price is.
const valueScale = 1 << 10

// values answers for each item the cheapest price per pod of a node that holds nothing else: what a place for it is worth.
// With whole, a node counts for no more pods than are left, which is truer for the last pods of a batch.
func (j *job) values(left []int, whole bool) []int64 {
	v := make([]int64, len(j.items))
	for i := range j.items {
		most := j.items[i].most
		if whole {
			most = min(most, max(1, left[i]))
		}
		for c := range j.cands {
			if !j.cands[c].allowed.Has(i) {
				continue
			}
			n := copiesIn(j.items[i].size, j.cands[c].capacity, most)
			worth := max(1, j.cands[c].price*valueScale/int64(n))
			if v[i] == 0 || worth < v[i] {
				v[i] = worth
			}
		}
	}
	return v
}

// refined answers values halfway between the old ones and what the purchases really charged each item for its place, when the price of a
// node is shared by value. An item that only fits where much is wasted gets dearer, one that fills holes cheaper.
func (j *job) refined(values []int64, purchases []purchase) []int64 {
	placed := make([]int64, len(values))
	for _, p := range purchases {
		for _, part := range p.parts {
			placed[part.item] += int64(part.count * p.copies)
		}
	}
	charged := make([]int64, len(values))
	for _, p := range purchases {
		var total int64
		for _, part := range p.parts {
			total += values[part.item] * int64(part.count)
		}
		for _, part := range p.parts {
			share := ratio(values[part.item], total, j.cands[p.cand].price*valueScale)
			charged[part.item] += ratio(int64(part.count*p.copies), placed[part.item], share)
		}
	}
	out := make([]int64, len(values))
	for i := range out {
		out[i] = values[i]
		if placed[i] > 0 {
			out[i] = max(1, (values[i]+charged[i])/2)
		}
	}
	return out
}
