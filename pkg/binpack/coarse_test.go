package binpack

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Whatever is drawn, a programme that begins with fewer rows ends in a plan that passes Check, and proves no bound that another plan undercuts.
func TestCoarsePlansPassCheck(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, _ := canonical(coarsened().draw(t))
		pol := drawPolicy(t)
		s := newSolver(p, pol)
		s.fewRows = 0
		plan := s.solve()
		if err := Check(p, plan); err != nil {
			t.Fatalf("%v\n%s", err, drawPlan(p, plan))
		}
		if other := newSolver(p, pol).solve(); plan.LowerBoundMicroUSDPerHour > min(other.CostMicroUSDPerHour, plan.CostMicroUSDPerHour) && sameServed(plan, other) {
			t.Fatalf("a bound of %d, and plans for %d and %d", plan.LowerBoundMicroUSDPerHour, other.CostMicroUSDPerHour, plan.CostMicroUSDPerHour)
		}
	})
}

// coarsened is what may begin with fewer rows.
func coarsened() mix {
	k := everything
	k.expected, k.demands, k.limits, k.stock, k.gangs = false, 12, 0, false, false
	return k
}

// TestCoarseProgrammesAreDrawn: else the property above says nothing.
func TestCoarseProgrammesAreDrawn(t *testing.T) {
	drawn := 0
	for seed := range 200 {
		p, _ := canonical(rapid.Custom(func(t *rapid.T) Problem { return coarsened().draw(t) }).Example(seed))
		s := newSolver(p, Policy{})
		s.fewRows = 0
		if g := wholeOf(s); g != nil && g.coarse != nil {
			drawn++
		}
	}
	if drawn < 20 {
		t.Errorf("%d of 200 programmes begin with fewer rows", drawn)
	}
}

func sameServed(a, b Plan) bool {
	held := func(p Plan) (n int) {
		for _, h := range p.Held {
			n += h.Count
		}
		return n
	}
	return held(a) == held(b)
}

// generatorOf answers one for a mix, and its coarser programme solved as far as a first answer does.
func generatorOf(tb testing.TB, mix string, pods int) *generator {
	p, _ := canonical(mixed(tb, mix, pods))
	s := newSolver(p, Policy{})
	g := wholeOf(s)
	if g.coarse == nil {
		tb.Fatal("the programme has too few rows to begin with fewer")
	}
	g.coarse.run(s.steps - stepsFirst)
	return g
}

// wholeOf answers one for all that a problem's new nodes may hold; nil if that is nothing.
func wholeOf(s *solver) *generator {
	j := s.newJob(s.itemsAt(s.start(), everyDemand(s.p), 0), 0, &s.start().ledger, false)
	left := make([]int, len(j.items))
	for i := range left {
		left[i] = s.p.Demands[j.items[i].demand].Count
	}
	if j, left = j.packable(left); len(j.items) == 0 {
		return nil
	}
	return s.newGenerator(j, left)
}

func everyDemand(p Problem) (all []int) {
	for d := range p.Demands {
		all = append(all, d)
	}
	return all
}

// solves tells whether a master's inverse, duals and solution are those of its basis.
func (m *master) solves() error {
	for k := range m.rows {
		for b, at := range m.basis {
			sum, want := 0.0, 0.0
			if at < 0 {
				sum = -m.inv[k*m.rows-1-at]
			} else {
				sum = m.worth(at, m.inv[k*m.rows:(k+1)*m.rows])
			}
			if b == k {
				want = 1
			}
			if math.Abs(sum-want) > 1e-6 {
				return fmt.Errorf("row %d of the inverse times basic column %d is %v, want %v", k, b, sum, want)
			}
		}
	}
	got := make([]float64, m.rows)
	for k, at := range m.basis {
		if m.x[k] < -1e-4 {
			return fmt.Errorf("%v copies of basic column %d", m.x[k], k)
		}
		if at < 0 {
			got[-1-at] -= m.x[k]
			continue
		}
		if worth := m.worth(at, m.y); math.Abs(worth-m.price[at]) > 1e-6*(1+m.price[at]) {
			return fmt.Errorf("basic column %d is worth %v and costs %v", k, worth, m.price[at])
		}
		for n := m.start[at]; n < m.start[at+1]; n++ {
			got[m.index[n]] += m.count[n] * m.x[k]
		}
	}
	for i, n := range m.need {
		if math.Abs(got[i]-n) > 1e-4*(1+n) {
			return fmt.Errorf("row %d: %v of %v", i, got[i], n)
		}
	}
	return nil
}

func TestWholeProgrammeGoesOnFromTheCoarse(t *testing.T) {
	for _, mix := range []string{"models", "spot"} {
		g := generatorOf(t, mix, 3000)
		g.adopt()
		if err := g.m.solves(); err != nil {
			t.Fatalf("%s: %v", mix, err)
		}
		if coarse, whole := g.coarse.m.value(), g.m.value(); math.Abs(coarse-whole) > 1e-6*coarse {
			t.Errorf("%s: the whole programme begins at %v, the coarser one ended at %v", mix, whole, coarse)
		}
		if rows, all := len(g.coarse.kept), len(g.coarse.host); rows*4 > all*3 {
			t.Errorf("%s: %d of %d rows are left, want at most three quarters", mix, rows, all)
		}
	}
}

func TestWholeProgrammeGoesOnFromTheCoarse_catches(t *testing.T) {
	for name, plant := range map[string]func(g *generator){
		"a guest at another host": func(g *generator) {
			for i, h := range g.coarse.host {
				if h >= 0 {
					g.coarse.host[i] = g.coarse.kept[(slices.Index(g.coarse.kept, h)+1)%len(g.coarse.kept)]
					return
				}
			}
		},
		"a pod that the coarser programme does not count": func(g *generator) { g.left[g.coarse.kept[0]]++ },
	} {
		g := generatorOf(t, "models", 3000)
		before := g.coarse.m.value()
		plant(g)
		g.adopt()
		if g.m.solves() == nil && math.Abs(before-g.m.value()) < 1e-6*before {
			t.Errorf("%s: goes unnoticed", name)
		}
	}
}

// standsIn tells whether in some contents of some candidate a pod of item i cannot stand in for one of k.
func (j *job) standsIn(i, k int) error {
	for c := range j.cands {
		cand := &j.cands[c]
		if !cand.allowed.Has(k) {
			continue
		}
		if !cand.allowed.Has(i) {
			return fmt.Errorf("%d may go to candidate %d, %d may not", k, c, i)
		}
		// The fullest contents with k: one of it, and as many of i as fit beside.
		free := minus(cand.capacity, j.items[k].size, 1)
		n := copiesIn(j.items[i].size, free, j.items[i].most)
		if copiesIn(j.items[i].size, cand.capacity, j.items[i].most) < n+1 {
			return fmt.Errorf("candidate %d holds %d of %d and one of %d, and not one more of %d instead", c, n, i, k, i)
		}
	}
	for other := range j.items {
		if j.clash(i, other) {
			return fmt.Errorf("%d keeps away from %d", i, other)
		}
	}
	return nil
}

// standIns tells of a problem how many pairs there are of whom one stands in for the other, and of one that cannot.
func standIns(p Problem) (pairs int, err error) {
	p, _ = canonical(p)
	s := newSolver(p, Policy{})
	j := s.newJob(s.itemsAt(s.start(), everyDemand(p), 0), 0, &s.start().ledger, false)
	for i, above := range j.newDominance().above {
		for k := range above.All() {
			pairs++
			err = errors.Join(err, j.standsIn(i, k))
		}
	}
	return pairs, err
}

func TestWhoNeedsLessStandsIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if _, err := standIns(everything.draw(t)); err != nil {
			t.Fatal(err)
		}
	})
	pairs := 0
	for seed := range 100 {
		n, err := standIns(rapid.Custom(everything.draw).Example(seed))
		if err != nil {
			t.Fatal(err)
		}
		pairs += n
	}
	if pairs < 50 {
		t.Errorf("in 100 problems %d pairs need less and more", pairs)
	}
}

func TestWhoNeedsLessStandsIn_catches(t *testing.T) {
	p, _, err := parseStory("resources cpu gpu*\nshape s 4 1\nshape l 40 4\noffering s s $0.526\noffering l l $3.912\ndemand small x2 1 1\ndemand large x2 8 1")
	if err != nil {
		t.Fatal(err)
	}
	p, _ = canonical(p)
	s := newSolver(p, Policy{})
	j := s.newJob(s.itemsAt(s.start(), everyDemand(p), 0), 0, &s.start().ledger, false)
	above := j.newDominance().above
	large, small := 0, 1
	if p.Demands[0].Size[0] < p.Demands[1].Size[0] {
		large, small = small, large
	}
	if !above[small].Has(large) || above[large].Has(small) {
		t.Fatalf("above are %v", above)
	}
	if j.standsIn(large, small) == nil {
		t.Error("the larger one stands in for the smaller")
	}
}
