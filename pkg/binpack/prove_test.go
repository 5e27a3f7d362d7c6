package binpack

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// A bound for a plan of a tighter problem (each demand may use some of its offerings only) is not above what the plan of the problem costs, as far
// as that serves as many at the same levels and tiers: here everything is one level and one tier, and can always be bought.
func TestLowerBoundOfATighterPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if why := tooHigh(t, LowerBound); why != "" {
			t.Fatal(why)
		}
	})
}

func TestLowerBoundOfATighterPlan_catches(t *testing.T) {
	byTighter := func(_ Problem, plan Plan, _ Policy) int64 { return plan.LowerBoundMicroUSDPerHour }
	for seed := range 500 {
		if rapid.Custom(func(t *rapid.T) string { return tooHigh(t, byTighter) }).Example(seed) != "" {
			return
		}
	}
	t.Error("the bound of the tighter problem is not found to be too high")
}

func tooHigh(t *rapid.T, bound func(Problem, Plan, Policy) int64) string {
	p := mix{shapes: 5, offerings: 8, demands: 4, bins: 2, count: 12}.draw(t)
	tighter := p
	tighter.Demands = append([]Demand(nil), p.Demands...)
	for d := range tighter.Demands {
		some := NewSet(len(p.Offerings))
		for o := range p.Demands[d].Levels[0].Offerings.All() {
			if rapid.Bool().Draw(t, "may") {
				some.Add(o)
			}
		}
		tighter.Demands[d].Levels = []Level{{Offerings: some, Bins: p.Demands[d].Levels[0].Bins}}
	}
	pol := Policy{Steps: rapid.IntRange(1, 10_000).Draw(t, "steps")}
	tight, free := Solve(tighter, pol), Solve(p, Policy{})
	held := map[int]int{}
	for _, h := range tight.Held {
		held[h.Demand] = h.Count
	}
	for _, h := range free.Held {
		if h.Count > held[h.Demand] {
			return "" // it serves fewer, so it may cost less
		}
	}
	if got := bound(p, tight, pol); got > free.CostMicroUSDPerHour {
		return fmt.Sprintf("the bound is %d, and a plan that serves as many costs %d", got, free.CostMicroUSDPerHour)
	}
	return ""
}
