package plan

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// TestSpreadOverNodes: a node that is full for a spread takes no pod, and costs the problem no dimension: hundreds of spreads would make it hundreds.
func TestSpreadOverNodes(t *testing.T) {
	const selector = "default/app=web"
	for name, tc := range map[string]struct{ skew, there, dimensions, onNode int }{
		"an empty node": {skew: 1, onNode: 1},
		"a full node":   {skew: 1, there: 1},
		"a fuller one":  {skew: 2, there: 3},
		"room for some": {skew: 3, there: 1, dimensions: 1, onNode: 2},
	} {
		t.Run(name, func(t *testing.T) {
			v := testView(t, wish("web", 4, 1, func(d *demand.Demand) {
				d.Neighbours.Chosen = []demand.SelectorKey{selector}
				d.Neighbours.Spread = []demand.Spread{{Term: demand.Term{TopologyKey: corev1.LabelHostname, Selector: selector}, MaxSkew: int32(tc.skew)}}
			}))
			count := map[demand.SelectorKey]int{selector: tc.there}
			v.Nodes = []Node{{Name: "n1", Open: true, QuietSince: noon, Chosen: count, Lasting: count, Free: demand.Resources{
				corev1.ResourceCPU: 8000, corev1.ResourceMemory: 16_000, corev1.ResourcePods: 50, v1alpha1.ResourceGPU: 4000}}}
			v.Nodes = append(v.Nodes, Node{Name: "n2"}) // nobody is on it, and nobody gets there
			g := newGrowth(canonical(v), Foresight{})
			g.setAside()
			a, err := g.decide(binpack.Policy{})
			if err != nil {
				t.Fatal(err)
			}
			onNode := 0
			for _, f := range a.solved.Fills {
				for _, c := range f.Contents {
					onNode += c.Count
				}
			}
			if dimensions := len(a.problem.Resources) - len(g.names); dimensions != tc.dimensions || onNode != tc.onNode {
				t.Errorf("%d dimensions and %d pods on the node, want %d and %d", dimensions, onNode, tc.dimensions, tc.onNode)
			}
		})
	}
}
