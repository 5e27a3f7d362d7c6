package oracle_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/binpack/internal/oracle"
)

// kind is a family of tiny problems and what Solve promises for it.
type kind struct {
	bins, limits, stock, gangs, apart, expected bool
	worst                                       float64 // cost over the optimum, where as much is served
	optimal                                     float64 // share of problems with the optimum
	servedLess                                  float64 // share of problems in which the optimum serves more
}

const problems = 600

// TestSolveAgainstEverything compares Solve with the optimum on tiny problems from a fixed seed and logs how near it comes.
func TestSolveAgainstEverything(t *testing.T) {
	for name, tc := range map[string]kind{
		"nothing binds":   {worst: 1, optimal: 1, servedLess: 0},
		"bins":            {bins: true, worst: 2.5, optimal: 0.95, servedLess: 0.01},
		"limits":          {limits: true, worst: 3, optimal: 0.92, servedLess: 0.06},
		"stock":           {stock: true, worst: 3, optimal: 0.92, servedLess: 0.06},
		"apart":           {bins: true, apart: true, worst: 2.5, optimal: 0.95, servedLess: 0.01},
		"expected":        {expected: true, worst: 1.5, optimal: 0.95, servedLess: 0},
		"expected, bound": {bins: true, limits: true, stock: true, apart: true, expected: true, worst: 3, optimal: 0.85, servedLess: 0.08},
		"gangs in limit":  {limits: true, gangs: true, worst: 3, optimal: 0.92, servedLess: 0.06},
		"everything":      {bins: true, limits: true, stock: true, gangs: true, apart: true, worst: 3, optimal: 0.88, servedLess: 0.08},
	} {
		t.Run(name, func(t *testing.T) {
			optimal, less, worst := 0, 0, 1.0
			for seed := range uint64(problems) {
				p := tc.problem(rand.New(rand.NewPCG(seed, 7)))
				plan := binpack.Solve(p, binpack.Policy{})
				if err := binpack.Check(p, plan); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				best, err := oracle.Best(p)
				if err != nil {
					t.Fatal(err)
				}
				switch c := oracle.Compare(oracle.ServedBy(p, plan), best.Served); {
				case c > 0:
					t.Fatalf("seed %d: Solve serves more than is possible", seed)
				case c < 0:
					less++
				case net(plan) < best.Net():
					t.Fatalf("seed %d: Solve pays %d, less than is possible (%d)", seed, net(plan), best.Net())
				case net(plan) == best.Net():
					optimal++
				case best.Net() > 0:
					worst = max(worst, float64(net(plan))/float64(best.Net()))
				}
			}
			share, lessShare := float64(optimal)/problems, float64(less)/problems
			t.Logf("optimal in %.1f %%, serves less in %.1f %%, at worst %.3f of the optimum", 100*share, 100*lessShare, worst)
			if worst > tc.worst || share < tc.optimal || lessShare > tc.servedLess {
				t.Errorf("want at worst %.2f, optimal in %.2f, serving less in %.2f", tc.worst, tc.optimal, tc.servedLess)
			}
		})
	}
}

func net(plan binpack.Plan) int64 { return plan.CostMicroUSDPerHour - plan.WorthMicroUSDPerHour }

func (k kind) problem(r *rand.Rand) binpack.Problem {
	p := binpack.Problem{Resources: []string{"cpu", "mem", "gpu"}, GPU: 2}
	if k.limits {
		p.Limits = []binpack.Limit{{Name: "gpus", Remaining: int64(1 + r.IntN(8))}}
	}
	for i := range 2 + r.IntN(3) {
		gpu := []int64{1, 1, 2, 4}[r.IntN(4)]
		p.Shapes = append(p.Shapes, binpack.Shape{Name: fmt.Sprint(i), Capacity: binpack.Vector{gpu * int64(2+r.IntN(6)), gpu * int64(4+r.IntN(12)), gpu}})
		o := binpack.Offering{Name: fmt.Sprint(i), Shape: i, PriceMicroUSDPerHour: gpu*int64(5+r.IntN(10))*100_000 + int64(r.IntN(4))*50_000, Stock: -1}
		if k.limits {
			o.Charges = []binpack.Charge{{Limit: 0, Amount: gpu}}
		}
		if k.stock && r.IntN(2) == 0 {
			o.Stock = r.IntN(3)
		}
		p.Offerings = append(p.Offerings, o)
	}
	if k.bins {
		for i := range r.IntN(3) {
			p.Bins = append(p.Bins, binpack.Bin{Name: fmt.Sprint(i), Free: binpack.Vector{int64(r.IntN(12)), int64(r.IntN(24)), int64(r.IntN(4))}})
		}
	}
	for pods := 0; pods < 6; {
		d := binpack.Demand{Name: fmt.Sprint(len(p.Demands)), Count: min(1+r.IntN(3), 6-pods), Priority: int32(r.IntN(2)), MaxPerNode: r.IntN(8) / 6}
		pods += d.Count
		gpu := []int64{0, 1, 1, 1, 2}[r.IntN(5)]
		d.Size = binpack.Vector{int64(1+r.IntN(5)) * max(1, gpu), int64(1+r.IntN(9)) * max(1, gpu), gpu}
		if k.gangs && r.IntN(3) == 0 {
			d.Gang = 1
		}
		level := binpack.Level{Offerings: binpack.NewSet(len(p.Offerings)), Bins: binpack.NewSet(len(p.Bins))}
		for o := range p.Offerings {
			if r.IntN(5) > 0 {
				level.Offerings.Add(o)
			}
		}
		if k.expected && d.Gang == 0 && r.IntN(2) == 0 {
			d.WorthMilli = 1 + r.IntN(1000)
		}
		for b := range p.Bins {
			if d.WorthMilli == 0 {
				level.Bins.Add(b)
			}
		}
		d.Levels = []binpack.Level{level}
		p.Demands = append(p.Demands, d)
	}
	for d := range p.Demands {
		p.Demands[d].Apart = binpack.NewSet(len(p.Demands))
		for e := range p.Demands {
			if k.apart && e != d && r.IntN(5) == 0 {
				p.Demands[d].Apart.Add(e)
			}
		}
	}
	return p
}

func TestSolveAgainstEverything_catches(t *testing.T) {
	p := kind{}.problem(rand.New(rand.NewPCG(1, 7)))
	best, err := oracle.Best(p)
	if err != nil || best.CostMicroUSDPerHour == 0 {
		t.Fatalf("want a problem with a cost: %v, %v", best, err)
	}
	dearest := p
	dearest.Offerings = append([]binpack.Offering(nil), p.Offerings...)
	for o := range dearest.Offerings {
		dearest.Offerings[o].PriceMicroUSDPerHour *= 2
	}
	if plan := binpack.Solve(dearest, binpack.Policy{}); plan.CostMicroUSDPerHour == best.CostMicroUSDPerHour {
		t.Error("a plan at twice the price looks optimal")
	}
	p.Demands[0].Count = oracle.MostPods
	if _, err := oracle.Best(p); err == nil {
		t.Error("too many pods are not refused")
	}
}
