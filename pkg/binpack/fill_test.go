package binpack

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestTightest: among rooms for one pod none is chosen whose like there is with less stranded, or as little stranded and less left over of
// everything.
func TestTightest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if at, better := worse(drawRooms(t)); better >= 0 {
			t.Fatalf("bin %d is filled, and bin %d would leave less", at, better)
		}
	})
}

// TestTightest_catches plants the order that was: the least GPU left, whatever feeds it.
func TestTightest_catches(t *testing.T) {
	p := Problem{Resources: []string{"cpu", "gpu"}, GPU: 1, Shapes: []Shape{{Name: "s", Capacity: Vector{8000, 2000}}},
		Bins:    []Bin{{Name: "thin", Free: Vector{3000, 2000}}, {Name: "wide", Free: Vector{9000, 3000}}},
		Demands: []Demand{{Name: "a", Size: Vector{2000, 1000}, Count: 1, Levels: []Level{{Bins: Set{3}, Offerings: NewSet(0)}}}}}
	if better := dominates(&p, 1, 0); !better {
		t.Error("a bin whose last GPU starves is not found to be worse")
	}
	if plan := Solve(p, Policy{}); len(plan.Fills) != 1 || p.Bins[plan.Fills[0].Bin].Name != "wide" {
		t.Errorf("%+v", plan.Fills)
	}
}

// drawRooms answers a problem of one pod and several bins, in thousandths.
func drawRooms(t *rapid.T) *Problem {
	p := &Problem{Resources: []string{"cpu", "gpu", "mem"}, GPU: 1, Shapes: []Shape{{Name: "s", Capacity: Vector{16000, 8000, 64000}}}}
	bins := Set{0}
	for i := range rapid.IntRange(1, 6).Draw(t, "bins") {
		bins.Add(i)
		p.Bins = append(p.Bins, Bin{Name: string(rune('a' + i)), Free: Vector{1000 * rapid.Int64Range(0, 12).Draw(t, "cpu"), 1000 * rapid.Int64Range(0, 4).Draw(t, "gpu"),
			1000 * rapid.Int64Range(0, 40).Draw(t, "mem")}})
	}
	p.Demands = []Demand{{Name: "a", Count: 1, Size: Vector{1000 * rapid.Int64Range(1, 6).Draw(t, "pod's cpu"), 1000 * rapid.Int64Range(1, 2).Draw(t, "pod's gpu"),
		1000 * rapid.Int64Range(1, 16).Draw(t, "pod's mem")}, Levels: []Level{{Bins: bins, Offerings: NewSet(0)}}}}
	return p
}

// worse answers the bin that is filled and one that is better; better is -1 if there is none.
func worse(p *Problem) (at, better int) {
	plan := Solve(*p, Policy{})
	if len(plan.Fills) == 0 {
		return -1, -1
	}
	at = plan.Fills[0].Bin
	return at, slices.IndexFunc(p.Bins, func(b Bin) bool {
		return dominates(p, slices.IndexFunc(p.Bins, func(o Bin) bool { return o.Name == b.Name }), at)
	})
}

// dominates tells whether the pod fits bin x and leaves there fewer GPUs that starve than on y, or as many and no more of anything and
// less of something.
func dominates(p *Problem, x, y int) bool {
	size := p.Demands[0].Size
	if !fits(size, p.Bins[x].Free) {
		return false
	}
	starving := func(b int) float64 {
		left := minus(p.Bins[b].Free, size, 1)
		fed := float64(left[p.GPU])
		for r := range size {
			fed = min(fed, float64(left[r])*float64(size[p.GPU])/float64(size[r]))
		}
		return float64(left[p.GPU]) - fed
	}
	const rounded = 2 // milli-GPUs, by the solver
	switch d := starving(x) - starving(y); {
	case d < -rounded:
		return true
	case d > 0:
		return false
	}
	less := false
	for r := range size {
		a, b := p.Bins[x].Free[r], p.Bins[y].Free[r]
		if a > b {
			return false
		}
		less = less || a < b
	}
	return less
}
