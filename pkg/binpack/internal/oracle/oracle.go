// Package oracle finds the best plan for a handful of pods by trying everything.
//
// It is the brute-force twin of binpack.Solve, for tests only: it decides nothing in production. It tries, pod by pod, every bin, every node
// bought so far, every offering that can be bought, and holding the pod; it is exponential in the pods and refuses more than MostPods.
// It knows one level and one tier: it looks at the last level of a demand and ignores Tier. It may import binpack for its types and the
// standard library; it must not call Solve or Check.
package oracle

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/slipway-sh/slipway/pkg/binpack"
)

// MostPods is the most pods that Best looks at.
const MostPods = 7

// Served is how well a plan serves: for each priority, highest first, GPUs, sum of squared GPUs and pods.
type Served [][3]int64

// Answer is the best there is: who is served comes before the cost.
type Answer struct {
	Served              Served
	CostMicroUSDPerHour int64
	// WorthMicroUSDPerHour is of the room for expected pods on new nodes; their room on bins is not looked at.
	WorthMicroUSDPerHour int64
	All                  bool // every pod that waits is placed
}

// Net is what is minimised: the cost less the worth of the room left.
func (a Answer) Net() int64 { return a.CostMicroUSDPerHour - a.WorthMicroUSDPerHour }

// Best answers the optimum of the problem, or an error if it has more than MostPods pods.
func Best(p binpack.Problem) (Answer, error) {
	s := &search{p: p, priorities: priorities(p)}
	for d := range p.Demands {
		s.worth = append(s.worth, worth(p, p.Demands[d]))
		for range p.Demands[d].Count {
			s.pods = append(s.pods, d)
		}
	}
	// Those that nobody waits for come last: they go only where somebody is.
	slices.SortStableFunc(s.pods, func(a, b int) int {
		return cmp.Compare(min(1, p.Demands[a].WorthMilli), min(1, p.Demands[b].WorthMilli))
	})
	if len(s.pods) > MostPods {
		return Answer{}, fmt.Errorf("%d pods are more than %d", len(s.pods), MostPods)
	}
	for i := range p.Bins {
		s.places = append(s.places, place{free: slices.Clone(p.Bins[i].Free), offering: -1, bin: i, count: make([]int, len(p.Demands))})
	}
	for _, l := range p.Limits {
		s.room = append(s.room, l.Remaining)
	}
	for _, o := range p.Offerings {
		s.stock = append(s.stock, o.Stock)
	}
	s.placed = make([]int, len(p.Demands))
	s.from(0)
	return s.best, nil
}

// ServedBy measures how well a plan serves.
func ServedBy(p binpack.Problem, plan binpack.Plan) Served {
	placed := make([]int, len(p.Demands))
	for d := range p.Demands {
		if p.Demands[d].WorthMilli == 0 {
			placed[d] = p.Demands[d].Count
		}
	}
	for _, h := range plan.Held {
		placed[h.Demand] -= h.Count
	}
	return served(p, priorities(p), placed)
}

// Compare answers > 0 if a serves better than b.
func Compare(a, b Served) int {
	return slices.CompareFunc(a, b, func(x, y [3]int64) int { return slices.Compare(x[:], y[:]) })
}

type place struct {
	free     binpack.Vector
	offering int // -1: a bin
	bin      int
	count    []int // by Demand
}

type search struct {
	p          binpack.Problem
	priorities []int32
	pods       []int // demand of each pod
	places     []place
	room       []int64
	stock      []int
	placed     []int
	cost       int64
	worth      []int64 // by Demand: of a place for an expected pod
	hopes      int64   // sum of worth of the expected pods that have a place
	best       Answer
	any        bool
}

func priorities(p binpack.Problem) []int32 {
	var out []int32
	for i := range p.Demands {
		out = append(out, p.Demands[i].Priority)
	}
	slices.SortFunc(out, func(a, b int32) int { return cmp.Compare(b, a) })
	return slices.Compact(out)
}

func served(p binpack.Problem, priorities []int32, placed []int) Served {
	out := make(Served, len(priorities))
	for d, n := range placed {
		at := slices.Index(priorities, p.Demands[d].Priority)
		gpus := p.Demands[d].Size[p.GPU]
		out[at][0] += gpus * int64(n)
		out[at][1] += gpus * gpus * int64(n)
		out[at][2] += int64(n)
	}
	return out
}

// from tries everything for the pods from k on.
func (s *search) from(k int) {
	if s.any && s.best.All && s.cost-s.hopes-s.most(k) >= s.best.Net() {
		return // nothing can serve more, and cost only grows
	}
	if k == len(s.pods) {
		s.leaf()
		return
	}
	d := s.pods[k]
	expected := s.p.Demands[d].WorthMilli > 0
	for at := range s.places {
		if !expected || s.places[at].offering >= 0 {
			s.put(at, d, k)
		}
	}
	for o := range s.p.Offerings {
		if !expected && s.mayBuy(o) {
			s.buy(o, 1)
			s.places = append(s.places, place{
				free: slices.Clone(s.p.Shapes[s.p.Offerings[o].Shape].Capacity), offering: o, count: make([]int, len(s.p.Demands)),
			})
			s.put(len(s.places)-1, d, k)
			s.places = s.places[:len(s.places)-1]
			s.buy(o, -1)
		}
	}
	s.from(k + 1) // held
}

// most bounds what the pods from k on can be worth.
func (s *search) most(k int) (sum int64) {
	for _, d := range s.pods[k:] {
		sum += s.worth[d]
	}
	return sum
}

// worth is what Demand.WorthMilli says about one place.
func worth(p binpack.Problem, d binpack.Demand) int64 {
	least := int64(-1)
	for i, o := range p.Offerings {
		n := int64(binpack.MaxCount)
		if d.MaxPerNode > 0 {
			n = int64(d.MaxPerNode)
		}
		for r, q := range d.Size {
			if q > 0 {
				n = min(n, p.Shapes[o.Shape].Capacity[r]/q)
			}
		}
		able := n > 0 && o.Closed == binpack.Open && o.Stock != 0 && d.Levels[len(d.Levels)-1].Offerings.Has(i)
		for _, c := range o.Charges {
			able = able && c.Amount <= max(0, p.Limits[c.Limit].Remaining)
		}
		if able && (least < 0 || o.PriceMicroUSDPerHour/n < least) {
			least = o.PriceMicroUSDPerHour / n
		}
	}
	return max(0, least) * int64(d.WorthMilli) / 1000
}

func (s *search) put(at, d, k int) {
	demand, to := &s.p.Demands[d], &s.places[at]
	level := demand.Levels[len(demand.Levels)-1]
	if to.offering < 0 && !level.Bins.Has(to.bin) || to.offering >= 0 && !level.Offerings.Has(to.offering) {
		return
	}
	if demand.MaxPerNode > 0 && to.count[d] >= demand.MaxPerNode {
		return
	}
	for e, n := range to.count {
		if n > 0 && (demand.Apart.Has(e) || s.p.Demands[e].Apart.Has(d)) {
			return
		}
	}
	for r, q := range demand.Size {
		if q > to.free[r] {
			return
		}
	}
	move := func(n int) {
		for r, q := range demand.Size {
			s.places[at].free[r] -= q * int64(n)
		}
		s.places[at].count[d] += n
		s.hopes += s.worth[d] * int64(n)
		if demand.WorthMilli == 0 {
			s.placed[d] += n
		}
	}
	move(1)
	s.from(k + 1)
	move(-1)
}

func (s *search) mayBuy(o int) bool {
	of := &s.p.Offerings[o]
	for _, c := range of.Charges {
		if c.Amount > 0 && c.Amount > s.room[c.Limit] {
			return false
		}
	}
	return of.Closed == binpack.Open && s.stock[o] != 0
}

func (s *search) buy(o, n int) {
	of := &s.p.Offerings[o]
	for _, c := range of.Charges {
		s.room[c.Limit] -= c.Amount * int64(n)
	}
	if of.Stock >= 0 {
		s.stock[o] -= n
	}
	s.cost += of.PriceMicroUSDPerHour * int64(n)
}

func (s *search) leaf() {
	torn, some := map[int]bool{}, map[int]bool{}
	all := true
	for d, n := range s.placed {
		g := s.p.Demands[d].Gang
		if n < s.p.Demands[d].Count && s.p.Demands[d].WorthMilli == 0 {
			all = false
			torn[g] = true
		}
		if n > 0 {
			some[g] = true
		}
	}
	for g := range torn {
		if g != 0 && some[g] {
			return
		}
	}
	now := served(s.p, s.priorities, s.placed)
	if c := Compare(now, s.best.Served); !s.any || c > 0 || c == 0 && s.cost-s.hopes < s.best.Net() {
		s.any, s.best = true, Answer{Served: now, CostMicroUSDPerHour: s.cost, WorthMicroUSDPerHour: s.hopes, All: all}
	}
}
