package plan

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// promisedPods is a View of so many pods that are to spread over zones, for each of which a node is on its way.
func promisedPods(t testing.TB, n int) View {
	const selector = "default/app=web"
	v := testView(t, wish("web", n, 1, func(d *demand.Demand) {
		d.Neighbours.Chosen = []demand.SelectorKey{selector}
		d.Neighbours.Spread = []demand.Spread{{Term: demand.Term{TopologyKey: corev1.LabelTopologyZone, Selector: selector}, MaxSkew: 1}}
	}))
	v.Provisioners[0].Object.Spec.Limits = nil
	d, err := Grow(v, Policy{Steps: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range d.Create {
		v.Claims = append(v.Claims, Claim{Object: c})
	}
	return *canonical(v)
}

// TestPromisesCostNoMoreEach: the skew lets few pods join a zone at a time, so most wait for many others to come first.
func TestPromisesCostNoMoreEach(t *testing.T) {
	allocations := func(n int) float64 {
		v := promisedPods(t, n)
		return testing.AllocsPerRun(1, func() {
			d, err := Grow(v, Policy{Steps: 1})
			if err != nil || len(d.Placed) != n || len(d.Create) > 0 {
				t.Fatalf("%d of %d pods have kept their places, %d nodes are bought, error %v", len(d.Placed), n, len(d.Create), err)
			}
		})
	}
	if few, many := allocations(200), allocations(800); many > 5*few {
		t.Errorf("four times the pods take %.0f times the memory allocations: %.0f, %.0f", many/few, few, many)
	}
}

// BenchmarkGrowPromised decides about 10,000 pods that wait for their nodes.
func BenchmarkGrowPromised(b *testing.B) {
	v := promisedPods(b, 10_000)
	for b.Loop() {
		if _, err := Grow(v, Policy{Steps: 1}); err != nil {
			b.Fatal(err)
		}
	}
}
