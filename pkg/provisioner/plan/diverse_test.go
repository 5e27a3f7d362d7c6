package plan

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// diverse is 4,410 pods in the manner of Karpenter's benchmark: a sixth each of plain, spread over zones, spread over nodes, near in a zone,
// near on a node and apart on nodes, of seven values of a label and 30 sizes.
func diverse() []demand.Demand {
	var all []demand.Demand
	const sizes, values = 30, 7
	for kind := range 6 {
		for value := range values {
			for size := range sizes {
				n := 4
				if kind == 4 {
					n = 1 // so that the pods of a value fit onto one node
				}
				selector := demand.SelectorKey(fmt.Sprintf("default/kind=%d,value=%d", kind, value))
				all = append(all, wish(fmt.Sprintf("d%d-%d-%02d", kind, value, size), n, 1, func(d *demand.Demand) {
					d.Requests[corev1.ResourceCPU] = int64(100 + 50*(size%5))
					d.Requests[corev1.ResourceMemory] = int64(100 + 300*(size/5))
					delete(d.Requests, v1alpha1.ResourceGPU)
					asks := &d.Neighbours
					asks.Chosen = []demand.SelectorKey{selector}
					switch kind {
					case 0:
						asks.Chosen = nil
					case 1:
						asks.Spread = []demand.Spread{{Term: demand.Term{TopologyKey: corev1.LabelTopologyZone, Selector: selector}, MaxSkew: 1}}
					case 2:
						asks.Spread = []demand.Spread{{Term: demand.Term{TopologyKey: corev1.LabelHostname, Selector: selector}, MaxSkew: 1}}
					case 3:
						asks.Near = []demand.Term{{TopologyKey: corev1.LabelTopologyZone, Selector: selector}}
					case 4:
						asks.Near = []demand.Term{{TopologyKey: corev1.LabelHostname, Selector: selector}}
					case 5:
						asks.Apart = []demand.Term{{TopologyKey: corev1.LabelHostname, Selector: selector}}
					}
				}))
			}
		}
	}
	return all
}

// BenchmarkGrowDiverse decides about pods that ask for neighbours in six ways, with every type, four zones and two markets.
func BenchmarkGrowDiverse(b *testing.B) {
	v := testView(b, diverse()...)
	p := &v.Provisioners[0]
	p.Zones = []string{"us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d"}
	p.Object.Spec.Requirements = []corev1.NodeSelectorRequirement{
		{Key: v1alpha1.LabelCapacityType, Operator: corev1.NodeSelectorOpIn, Values: []string{"spot", "on-demand"}},
	}
	p.Object.Spec.Limits = nil
	for b.Loop() {
		if _, err := Grow(v, Policy{Steps: 1}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(podsOf(v)))/(b.Elapsed().Seconds()/float64(b.N)), "pods/s")
}
