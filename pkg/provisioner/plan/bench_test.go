package plan

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// manyDemands is 5,000 pods in 80 demands: of 1 to 8 GPUs, one in five with a zone, one in five with a preference.
func manyDemands() []demand.Demand {
	var all []demand.Demand
	for i := range 80 {
		all = append(all, wish(fmt.Sprintf("d%02d", i), 62+i%2, 1<<(i%4), func(d *demand.Demand) {
			d.Requests[corev1.ResourceMemory] += int64(i) * 64
			switch i % 5 {
			case 1:
				d.Select.NodeSelector = map[string]string{corev1.LabelTopologyZone: fmt.Sprintf("us-east-1%c", 'a'+i/5%4)}
			case 3:
				d.Select.Preferred = []corev1.PreferredSchedulingTerm{{Weight: 1, Preference: corev1.NodeSelectorTerm{
					MatchExpressions: []corev1.NodeSelectorRequirement{{Key: v1alpha1.LabelInstanceFamily, Operator: corev1.NodeSelectorOpIn,
						Values: []string{"g5", "g6"}}},
				}}}
			}
		}))
	}
	return all
}

// BenchmarkGrow decides about 5,000 pods in 80 demands with every type, four zones and two markets.
func BenchmarkGrow(b *testing.B) {
	v := testView(b, manyDemands()...)
	p := &v.Provisioners[0]
	p.Zones = []string{"us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d"}
	p.Object.Spec.Requirements = []corev1.NodeSelectorRequirement{
		{Key: v1alpha1.LabelCapacityType, Operator: corev1.NodeSelectorOpIn, Values: []string{"spot", "on-demand"}},
	}
	p.Object.Spec.Limits = nil
	for b.Loop() {
		if _, err := Grow(v, Policy{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGrowManyLabels decides about 80 demands that each ask for nodes with a label of their own: the offers are multiplied by its values.
func BenchmarkGrowManyLabels(b *testing.B) {
	demands := manyDemands()
	for i := range demands {
		demands[i].Select.NodeSelector = map[string]string{"example.com/job": demands[i].Key}
	}
	v := viewOf(demands...)
	p := &v.Provisioners[0].Object.Spec
	p.Requirements = []corev1.NodeSelectorRequirement{{Key: "example.com/job", Operator: corev1.NodeSelectorOpExists}}
	p.Limits = nil
	for b.Loop() {
		if _, err := Grow(v, Policy{}); err != nil {
			b.Fatal(err)
		}
	}
}
