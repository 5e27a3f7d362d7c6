package binpack

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestEveryPlanPassesCheck(t *testing.T) { rapid.Check(t, planPassesCheck) }

// FuzzSolve lets the fuzzer draw the problems.
func FuzzSolve(f *testing.F) { f.Fuzz(rapid.MakeFuzz(planPassesCheck)) }

// planPassesCheck: TestCheck_catches plants what Check must find.
func planPassesCheck(t *rapid.T) {
	p := everything.draw(t)
	if err := p.Validate(); err != nil {
		t.Fatalf("the generator is wrong: %v", err)
	}
	plan := Solve(p, drawPolicy(t))
	if err := Check(p, plan); err != nil {
		t.Fatalf("%v\n%s", err, drawPlan(p, plan))
	}
}

func TestSameProblemSamePlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, pol := everything.draw(t), drawPolicy(t)
		if diff := cmp.Diff(Solve(p, pol), Solve(p, pol)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestSameProblemSamePlan_catches(t *testing.T) {
	p, _, err := parseStory("resources cpu gpu*\nshape s 4 1\noffering s s $1\ndemand d x2 1 1")
	if err != nil {
		t.Fatal(err)
	}
	if cmp.Diff(Solve(p, Policy{}), Solve(p, Policy{Steps: 1})) != "" {
		t.Fatal("this one has one plan")
	}
	other := Solve(p, Policy{})
	other.Nodes[0].Copies++
	if cmp.Diff(Solve(p, Policy{}), other) == "" {
		t.Error("one copy more makes no difference")
	}
}

// The order in which the caller lists demands, offerings and bins is nobody's business.
func TestOrderOfInputDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, pol := everything.draw(t), drawPolicy(t)
		q := permuted(t, p)
		if diff := cmp.Diff(byName(p, Solve(p, pol)), byName(q, Solve(q, pol))); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestOrderOfInputDoesNotMatter_catches(t *testing.T) {
	p, _, err := parseStory(`
resources cpu gpu*
shape s 4 1
offering b s $1
offering a s $1
demand d x1 1 1`)
	if err != nil {
		t.Fatal(err)
	}
	byIndex := Plan{Nodes: []Node{{Copies: 1, Offerings: []int{0}, Contents: []Content{{0, 1}}}}, CostMicroUSDPerHour: 1e6}
	if cmp.Diff(byName(p, Solve(p, Policy{})), byName(p, byIndex)) == "" {
		t.Error("a tie broken by index looks like one broken by name")
	}
}

// Improving never costs more and never serves anybody less, whatever binds.
func TestImprovingNeverHurts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, _ := canonical(everything.draw(t))
		s := newSolver(p, Policy{})
		before := s.cheapestAttempt(s.start())
		after := before.clone()
		s.improve(after)
		if err := s.noWorse(after, before); err != nil {
			t.Fatal(err)
		}
	})
}

func (s *solver) noWorse(after, before *state) error {
	if s.compareServed(after, before) != 0 || s.cost(after) > s.cost(before) {
		return fmt.Errorf("cost %d, before %d; left %v, before %v", s.cost(after), s.cost(before), after.left, before.left)
	}
	return nil
}

func TestImprovingNeverHurts_catches(t *testing.T) {
	p, _, err := parseStory("resources cpu gpu*\nshape s 4 1\nshape l 40 4\noffering s s $0.526\noffering l l $3.912\ndemand d x2 1 1")
	if err != nil {
		t.Fatal(err)
	}
	s := newSolver(p, Policy{})
	before := s.cheapestAttempt(s.start())
	dearer, fewer := before.clone(), before.clone()
	dearer.nodes[0].offering = 1
	fewer.left[0], fewer.nodes = 2, nil
	if s.noWorse(dearer, before) == nil || s.noWorse(fewer, before) == nil {
		t.Error("a dearer node, or nobody served, looks no worse")
	}
}

// More steps never end dearer than the first answer, nor serve anybody less, and the bound is never above the cost.
func TestMoreStepsAreNeverDearer(t *testing.T) {
	known := everything
	known.expected = false // room for what is expected may cost more than it did
	rapid.Check(t, func(t *rapid.T) {
		p := known.draw(t)
		if err := anytime(p, Solve(p, Policy{Steps: 1}), Solve(p, Policy{Steps: rapid.IntRange(2, 100_000).Draw(t, "steps")})); err != nil {
			t.Fatal(err)
		}
	})
}

func anytime(p Problem, first, later Plan) error {
	s := newSolver(p, Policy{})
	left := func(plan Plan) *state {
		st := &state{left: make([]int, len(p.Demands))}
		for _, h := range plan.Held {
			st.left[h.Demand] = h.Count
		}
		return st
	}
	c := s.compareServed(left(later), left(first))
	if c < 0 || c == 0 && later.CostMicroUSDPerHour > first.CostMicroUSDPerHour {
		return fmt.Errorf("%d $/h, served %d of the first answer's %d", later.CostMicroUSDPerHour, c, first.CostMicroUSDPerHour)
	}
	for _, plan := range []Plan{first, later} {
		if plan.LowerBoundMicroUSDPerHour > plan.CostMicroUSDPerHour {
			return fmt.Errorf("cost %d, bound %d", plan.CostMicroUSDPerHour, plan.LowerBoundMicroUSDPerHour)
		}
	}
	return nil
}

func TestMoreStepsAreNeverDearer_catches(t *testing.T) {
	p, _, err := parseStory("resources cpu gpu*\nshape s 4 1\noffering s s $1\ndemand d x2 1 1")
	if err != nil {
		t.Fatal(err)
	}
	plan := Solve(p, Policy{})
	dearer, high := plan, plan
	dearer.CostMicroUSDPerHour++
	high.LowerBoundMicroUSDPerHour = plan.CostMicroUSDPerHour + 1
	if anytime(p, plan, dearer) == nil || anytime(p, plan, high) == nil || anytime(p, plan, plan) != nil {
		t.Error("a dearer plan, or a bound above the cost, passes")
	}
}

// What is expected serves nobody less, and leaving room for it never costs more than the room is worth.
func TestExpectingServesAsMuch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, pol := everything.draw(t), drawPolicy(t)
		if err := expectingHurts(p, Solve(p, pol), pol); err != nil {
			t.Fatal(err)
		}
	})
}

func TestExpectingServesAsMuch_catches(t *testing.T) {
	p, pol, err := parseStory(`
resources cpu gpu*
shape s 4 1
shape l 40 4
offering a s $1
offering b l $3
demand d x1 1 1
demand e x3 1 1 worth 500`)
	if err != nil {
		t.Fatal(err)
	}
	dear := Plan{Nodes: []Node{{Copies: 1, Offerings: []int{1}, Contents: []Content{{0, 1}}, Expected: []Content{{1, 3}}}},
		CostMicroUSDPerHour: 3e6, WorthMicroUSDPerHour: 3 * 375_000}
	if err := Check(p, dear); err != nil {
		t.Fatal(err)
	}
	if expectingHurts(p, dear, pol) == nil {
		t.Error("room that costs $2 and is worth $1.125 looks right")
	}
}

func expectingHurts(p Problem, plan Plan, pol Policy) error {
	alone := p
	alone.Demands = slices.Clone(p.Demands)
	for d := range alone.Demands {
		if alone.Demands[d].WorthMilli > 0 {
			alone.Demands[d].WorthMilli = 1 // worth nothing to speak of
		}
	}
	without := Solve(alone, pol)
	held := func(plan Plan) (n int) {
		for _, h := range plan.Held {
			n += h.Count
		}
		return n
	}
	if held(plan) > held(without) || plan.CostMicroUSDPerHour-plan.WorthMicroUSDPerHour > without.CostMicroUSDPerHour {
		return fmt.Errorf("%d held, cost %d, worth %d; alone %d held, cost %d", held(plan), plan.CostMicroUSDPerHour, plan.WorthMicroUSDPerHour,
			held(without), without.CostMicroUSDPerHour)
	}
	return nil
}

// When nothing binds, no plan is dearer than each demand alone on whole nodes of its cheapest offering.
func TestNeverDearerThanHomogeneousNodes(t *testing.T) {
	plain := mix{shapes: 5, offerings: 8, demands: 7, count: 30, levels: false}
	rapid.Check(t, func(t *rapid.T) {
		p := plain.draw(t)
		var alone int64
		for d := range p.Demands {
			one := p
			one.Demands = p.Demands[d : d+1]
			alone += homogeneous(one)
		}
		if cost := Solve(p, Policy{Steps: 1}).CostMicroUSDPerHour; cost > alone {
			t.Fatalf("together %d, alone %d", cost, alone)
		}
	})
}

func TestNeverDearerThanHomogeneousNodes_catches(t *testing.T) {
	p, _, err := parseStory("resources cpu gpu*\nshape s 4 1\nshape l 40 4\noffering s s $0.526\noffering l l $3.912\ndemand d x2 1 1")
	if err != nil {
		t.Fatal(err)
	}
	if alone, dear := homogeneous(p), int64(3_912_000); dear <= alone {
		t.Errorf("one large node for %d looks no dearer than two small ones for %d", dear, alone)
	}
}

// homogeneous prices whole nodes of the one offering that is cheapest for all pods of the only demand.
func homogeneous(p Problem) int64 {
	d := p.Demands[0]
	var best int64 = -1
	for i, o := range p.Offerings {
		fit := d.Count
		for r, q := range d.Size {
			if q > 0 {
				fit = min(fit, int(p.Shapes[o.Shape].Capacity[r]/q))
			}
		}
		if d.MaxPerNode > 0 {
			fit = min(fit, d.MaxPerNode)
		}
		if fit == 0 || !d.Levels[0].Offerings.Has(i) {
			continue
		}
		if cost := o.PriceMicroUSDPerHour * int64((d.Count+fit-1)/fit); best < 0 || cost < best {
			best = cost
		}
	}
	return max(best, 0)
}

func permuted(t *rapid.T, p Problem) Problem {
	indices := func(n int) []int {
		at := make([]int, n)
		for i := range at {
			at[i] = i
		}
		return rapid.Permutation(at).Draw(t, "order")
	}
	offerings, bins, demands := indices(len(p.Offerings)), indices(len(p.Bins)), indices(len(p.Demands))
	q := p
	q.Offerings, q.Bins, q.Demands = nil, nil, nil
	for _, i := range offerings {
		o := p.Offerings[i]
		o.Shares = slices.Clone(o.Shares)
		for n, was := range o.Shares {
			o.Shares[n] = slices.Index(offerings, was)
		}
		q.Offerings = append(q.Offerings, o)
	}
	for _, i := range bins {
		q.Bins = append(q.Bins, p.Bins[i])
	}
	for _, i := range demands {
		d := p.Demands[i]
		levels := make([]Level, len(d.Levels))
		for l := range levels {
			levels[l] = Level{Offerings: NewSet(len(offerings)), Bins: NewSet(len(bins))}
			for now, was := range offerings {
				if d.Levels[l].Offerings.Has(was) {
					levels[l].Offerings.Add(now)
				}
			}
			for now, was := range bins {
				if d.Levels[l].Bins.Has(was) {
					levels[l].Bins.Add(now)
				}
			}
		}
		d.Levels = levels
		apart := NewSet(len(demands))
		for now, was := range demands {
			if d.Apart.Has(was) {
				apart.Add(now)
			}
		}
		d.Apart = apart
		q.Demands = append(q.Demands, d)
	}
	return q
}

// byName writes a plan without indices, one line per thing, sorted.
func byName(p Problem, plan Plan) []string {
	contents := func(cs []Content) string {
		var out []string
		for _, c := range cs {
			out = append(out, fmt.Sprintf("%d %s", c.Count, p.Demands[c.Demand].Name))
		}
		slices.Sort(out)
		return strings.Join(out, ", ")
	}
	lines := []string{fmt.Sprint("cost ", plan.CostMicroUSDPerHour, " worth ", plan.WorthMicroUSDPerHour)}
	for _, f := range plan.Fills {
		lines = append(lines, fmt.Sprintf("bin %s: %s", p.Bins[f.Bin].Name, contents(f.Contents)))
	}
	for _, n := range plan.Nodes {
		var names []string
		for _, o := range n.Offerings {
			names = append(names, p.Offerings[o].Name)
		}
		lines = append(lines, fmt.Sprintf("%d x %v: %s; room for %s", n.Copies, names, contents(n.Contents), contents(n.Expected)))
	}
	for _, h := range plan.Held {
		near := "none"
		if h.Nearest >= 0 {
			near = p.Offerings[h.Nearest].Name
		}
		lines = append(lines, fmt.Sprintf("held %d %s: %s %d %d %v %s", h.Count, p.Demands[h.Demand].Name, h.Reason, h.Limit, h.Resource, h.Failed, near))
	}
	slices.Sort(lines)
	return lines
}
