package oracle_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/binpack/internal/oracle"
)

// No plan that serves what a plan serves, and goes no further down, costs less than the plan's lower bound, whatever binds.
func TestLowerBoundIsOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawBounded(t)
		plan := binpack.Solve(p, binpack.Policy{Steps: rapid.SampledFrom([]int{1, 300, 20_000}).Draw(t, "steps")})
		if err := binpack.Check(p, plan); err != nil {
			t.Fatal(err)
		}
		if err := boundHolds(p, plan, plan.LowerBoundMicroUSDPerHour); err != nil {
			t.Fatal(err)
		}
	})
}

func TestLowerBoundIsOne_catches(t *testing.T) {
	caught := 0
	for seed := range uint64(100) {
		p := kind{bins: true}.problem(rand.New(rand.NewPCG(seed, 11)))
		plan := binpack.Solve(p, binpack.Policy{})
		if boundHolds(p, plan, plan.LowerBoundMicroUSDPerHour*11/10+1) != nil {
			caught++
		}
	}
	if caught < 30 {
		t.Errorf("a bound that is a tenth too high is caught in %d of 100 problems", caught)
	}
}

// TestLowerBoundIsTight logs and asserts how near the bound comes to the optimum of tiny problems, where nothing binds.
func TestLowerBoundIsTight(t *testing.T) {
	const problems = 300
	sum := 0.0
	for seed := range uint64(problems) {
		p := kind{}.problem(rand.New(rand.NewPCG(seed, 12)))
		plan := binpack.Solve(p, binpack.Policy{})
		sum += 1
		if plan.CostMicroUSDPerHour > 0 {
			sum += float64(plan.LowerBoundMicroUSDPerHour)/float64(plan.CostMicroUSDPerHour) - 1
		}
	}
	t.Logf("the bound is %.3f of the cost on average", sum/problems)
	if sum/problems < 0.9 {
		t.Error("want 0.9")
	}
}

// drawBounded answers a tiny problem in which anything may bind, with levels, tiers and offerings for nothing.
func drawBounded(t *rapid.T) binpack.Problem {
	k := kind{
		bins: rapid.Bool().Draw(t, "bins"), limits: rapid.Bool().Draw(t, "limits"), stock: rapid.Bool().Draw(t, "stock"),
		gangs: rapid.Bool().Draw(t, "gangs"), apart: rapid.Bool().Draw(t, "apart"), expected: rapid.Bool().Draw(t, "expected"),
	}
	p := k.problem(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 3)))
	for o := range p.Offerings {
		p.Offerings[o].Tier = rapid.SampledFrom([]int{0, 0, 1}).Draw(t, "tier")
		if rapid.IntRange(0, 9).Draw(t, "free") == 0 {
			p.Offerings[o].PriceMicroUSDPerHour = 0
		}
	}
	for d := range p.Demands {
		if rapid.IntRange(0, 2).Draw(t, "prefers") > 0 {
			continue
		}
		first := binpack.Level{Offerings: binpack.NewSet(len(p.Offerings)), Bins: p.Demands[d].Levels[0].Bins}
		for o := range p.Offerings {
			if p.Demands[d].Levels[0].Offerings.Has(o) && rapid.Bool().Draw(t, "preferred") {
				first.Offerings.Add(o)
			}
		}
		p.Demands[d].Levels = []binpack.Level{first, p.Demands[d].Levels[0]}
	}
	return p
}

// boundHolds compares a bound with the optimum of the problem that it is for.
func boundHolds(p binpack.Problem, plan binpack.Plan, bound int64) error {
	q, at := p, make([]int, len(p.Demands))
	served := make([]int, len(p.Demands))
	for d := range p.Demands {
		if p.Demands[d].WorthMilli == 0 {
			served[d] = p.Demands[d].Count
		}
	}
	for _, h := range plan.Held {
		served[h.Demand] -= h.Count
	}
	q.Demands = nil
	for d := range p.Demands {
		at[d] = -1
		if served[d] > 0 {
			at[d] = len(q.Demands)
			one := p.Demands[d]
			one.Count, one.Levels, one.Apart = served[d], []binpack.Level{noFurther(p, plan, d)}, nil
			q.Demands = append(q.Demands, one)
		}
	}
	for d := range p.Demands {
		for e := range p.Demands {
			if at[d] >= 0 && at[e] >= 0 && p.Demands[d].Apart.Has(e) {
				if q.Demands[at[d]].Apart == nil {
					q.Demands[at[d]].Apart = binpack.NewSet(len(q.Demands))
				}
				q.Demands[at[d]].Apart.Add(at[e])
			}
		}
	}
	best, err := oracle.Best(q)
	switch {
	case err != nil:
		return err
	case len(q.Demands) > 0 && !best.All:
		return fmt.Errorf("the oracle does not find what the plan does")
	case best.CostMicroUSDPerHour < bound:
		return fmt.Errorf("the optimum is %d, the bound %d", best.CostMicroUSDPerHour, bound)
	case best.CostMicroUSDPerHour > plan.CostMicroUSDPerHour:
		return fmt.Errorf("the optimum is %d, the plan costs %d", best.CostMicroUSDPerHour, plan.CostMicroUSDPerHour)
	}
	return nil
}

// noFurther answers where a demand may be when it goes no further down its levels and the tiers than in the plan.
func noFurther(p binpack.Problem, plan binpack.Plan, d int) binpack.Level {
	standing := func(o int) int {
		for l := range p.Demands[d].Levels {
			if p.Demands[d].Levels[l].Offerings.Has(o) {
				return l*100 + p.Offerings[o].Tier
			}
		}
		return 1 << 30
	}
	worst := 0
	for _, n := range plan.Nodes {
		for _, c := range n.Contents {
			if c.Demand == d {
				worst = max(worst, standing(n.Offerings[0]))
			}
		}
	}
	l := binpack.Level{Offerings: binpack.NewSet(len(p.Offerings)), Bins: binpack.NewSet(len(p.Bins))}
	for o := range p.Offerings {
		if standing(o) <= worst {
			l.Offerings.Add(o)
		}
	}
	for b := range p.Bins {
		for _, level := range p.Demands[d].Levels {
			if level.Bins.Has(b) {
				l.Bins.Add(b)
			}
		}
	}
	return l
}
