package plan

import (
	"math"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// poisson is the textbook's upper tail.
func poisson(mean float64, atLeast int) float64 {
	below, term := 0.0, math.Exp(-mean)
	for n := range atLeast {
		below += term
		term *= mean / float64(n+1)
	}
	return 1 - below
}

func TestChancesArePoisson(t *testing.T) {
	for _, milli := range []int64{0, 1, 20, 137, 500, 999, 1000, 2500, 8000, 15_999} {
		if worst := furthest(milli, chances(milli, mostExpected)); worst > 1.01 {
			t.Errorf("%d thousandths: %.2f thousandths off: %v", milli, worst, chances(milli, mostExpected))
		}
	}
	if got := chances(1<<40, 3); !slices.Equal(got, []int{999, 999, 999}) {
		t.Errorf("a flood: %v", got)
	}
}

func TestChancesArePoisson_catches(t *testing.T) {
	geometric := make([]int, mostExpected)
	for n := range geometric {
		geometric[n] = int(1000 * math.Pow(0.5, float64(n+1)))
	}
	if furthest(1000, geometric) < 10 {
		t.Error("another distribution of the same mean passes")
	}
}

// furthest answers by how many thousandths the chances are off the textbook's, at the most.
func furthest(milli int64, got []int) (worst float64) {
	for n, c := range got {
		worst = max(worst, math.Abs(float64(c)-1000*poisson(float64(milli)/1000, n+1)))
	}
	return worst
}

// What is expected holds nobody and takes nobody's place: the same pods are placed, held and bought for as without.
func TestForesightServesAsMuch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := drawView(t)
		with, err1 := Grow(v, Policy{})
		without, err2 := Grow(v, Policy{Foresight: Foresight{Off: true}})
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		if a, b := heldPods(with), heldPods(without); a > b {
			t.Fatalf("%d pods are held, %d without foresight", a, b)
		}
	})
}

func TestForesightServesAsMuch_catches(t *testing.T) {
	v := testView(t, wish("small", 5, 1))
	if heldPods(grow(t, v)) != 0 {
		t.Fatal("all have a place")
	}
	v.Provisioners[0].Object.Spec.Limits = v1alpha1.Limits{v1alpha1.LimitGPU: resource.MustParse("2")}
	if heldPods(grow(t, v)) != 3 {
		t.Error("pods that are held are not counted")
	}
}

func heldPods(d Decision) (n int) {
	for _, h := range d.Held {
		n += len(h.Pods)
	}
	return n
}

// Switched off, what came lately changes nothing.
func TestForesightCanBeSwitchedOff(t *testing.T) {
	v := testView(t, wish("prep", 1, 1, func(d *demand.Demand) { d.Requests[corev1.ResourceCPU] = 15_900 }))
	v.Provisioners[0].Object.Spec.Limits = nil
	plain := grow(t, v)
	v.Arrivals = []Arrival{{Key: "prep", Requests: v.Demands[0].Requests, PerHourMilli: 12_000}}
	if seen := grow(t, v); len(seen.Create) != 1 || seen.Create[0].Spec.GPUs != 4 {
		t.Fatalf("want one node of 4 GPUs: %+v", seen.Create)
	}
	off, err := Grow(v, Policy{Foresight: Foresight{Off: true}})
	if err != nil || len(off.Create) != 1 || off.Create[0].Spec.Choices[0] != plain.Create[0].Spec.Choices[0] {
		t.Errorf("off: %+v, %v; without arrivals %+v", off.Create, err, plain.Create)
	}
}
