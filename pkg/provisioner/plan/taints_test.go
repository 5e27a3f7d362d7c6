package plan

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// TestPreferNoScheduleIsAPreference: pods keep off such a taint where they can, at whatever price, and take it where they must.
func TestPreferNoScheduleIsAPreference(t *testing.T) {
	soft := corev1.Taint{Key: "dear", Effect: corev1.TaintEffectPreferNoSchedule}
	tolerating := func(d *demand.Demand) {
		d.Select.Tolerations = []corev1.Toleration{{Key: "dear", Operator: corev1.TolerationOpExists}}
	}
	choosing := func(d *demand.Demand) { d.Select.NodeSelector = map[string]string{"dear": "yes"} }
	for name, tc := range map[string]struct {
		change func(*demand.Demand)
		want   string // Provisioner
	}{
		"it keeps off":       {func(*demand.Demand) {}, "plain"},
		"it tolerates":       {func(d *demand.Demand) { tolerating(d); choosing(d) }, "tainted"},
		"it has no choice":   {choosing, "tainted"},
		"it may go anywhere": {tolerating, "tainted"},
	} {
		v := testView(t, wish("d", 1, 1, tc.change))
		plain, tainted := v.Provisioners[0], v.Provisioners[0]
		plain.Object.Name, tainted.Object.Name = "plain", "tainted"
		tainted.Object.Spec.Template.Taints = []corev1.Taint{soft}
		tainted.Object.Spec.Template.Labels = map[string]string{"dear": "yes"}
		tainted.Object.Spec.Weight = 10 // preferred, but for the taint
		v.Provisioners = []Provisioner{plain, tainted}
		if d := grow(t, v); len(d.Create) != 1 || d.Create[0].Spec.Provisioner != tc.want {
			t.Errorf("%s: %+v, want a claim of %s", name, d.Create, tc.want)
		}
	}
}
