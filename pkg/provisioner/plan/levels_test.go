package plan

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

func prefersZone(weight int32, op corev1.NodeSelectorOperator, zone string) corev1.PreferredSchedulingTerm {
	return corev1.PreferredSchedulingTerm{Weight: weight, Preference: corev1.NodeSelectorTerm{
		MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelTopologyZone, Operator: op, Values: []string{zone}}}}}
}

// TestPreferredTermsAddUp: of what can be had, that with the largest sum of weights is taken, whichever and however many terms it is made of.
func TestPreferredTermsAddUp(t *testing.T) {
	in, notIn := corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn
	for name, tc := range map[string]struct {
		terms []corev1.PreferredSchedulingTerm
		want  string
	}{
		"two light terms and a heavy one": {[]corev1.PreferredSchedulingTerm{
			prefersZone(50, in, "us-east-1a"), prefersZone(40, in, "us-east-1b"), prefersZone(40, notIn, "us-east-1a")}, "us-east-1b"},
		"a heavy one and two light terms": {[]corev1.PreferredSchedulingTerm{
			prefersZone(50, in, "us-east-1a"), prefersZone(20, in, "us-east-1b"), prefersZone(20, notIn, "us-east-1a")}, "us-east-1a"},
		"the lightest of many": {append(repeated(12, prefersZone(9, in, "nowhere")), prefersZone(1, in, "us-east-1b")), "us-east-1b"},
	} {
		t.Run(name, func(t *testing.T) {
			d := grow(t, testView(t, wish("d", 1, 1, func(d *demand.Demand) { d.Select.Preferred = tc.terms })))
			if got := d.Create[0].Spec.Choices[0].Zone; got != tc.want {
				t.Errorf("the zone is %s, want %s", got, tc.want)
			}
		})
	}
}

func repeated[T any](n int, x T) []T {
	list := make([]T, n)
	for i := range list {
		list[i] = x
	}
	return list
}

// TestLevelsAreBounded: with 40 sums there are no more than mostLevels, the highest first, and the last is what is required.
func TestLevelsAreBounded(t *testing.T) {
	v := viewOf(wish("d", 1, 1))
	for i := range 40 {
		v.Nodes = append(v.Nodes, Node{Name: fmt.Sprintf("n%02d", i), Open: true, QuietSince: noon, Labels: map[string]string{"rank": fmt.Sprint(i)},
			Free: v.Demands[0].Requests})
		v.Demands[0].Select.Preferred = append(v.Demands[0].Select.Preferred, corev1.PreferredSchedulingTerm{Weight: int32(1 + i), Preference: corev1.NodeSelectorTerm{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "rank", Operator: corev1.NodeSelectorOpIn, Values: []string{fmt.Sprint(i)}}}}})
	}
	g := newGrowth(&v, Foresight{})
	g.setAside()
	levels := g.levels(&g.asked[0])
	if len(levels) > mostLevels || len(levels) < mostLevels-1 {
		t.Errorf("%d levels of 40 sums, at most %d are wanted", len(levels), mostLevels)
	}
	if !levels[0].Bins.Has(39) || levels[0].Bins.Has(38) || !levels[1].Bins.Has(38) {
		t.Error("the highest sums are not the first levels")
	}
	if last := levels[len(levels)-1]; !last.Bins.Has(0) || !last.Offerings.Any() {
		t.Error("the last level is not what is required")
	}
}
