package simulate

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// provisioner adds a Provisioner with the API's defaults, if nothing in it would make the simulation wrong.
func (g *gathering) provisioner(p *v1alpha1.Provisioner) error {
	p.Spec.NodeClassRef.Name = cmp.Or(p.Spec.NodeClassRef.Name, "default")
	if p.UID == "" {
		p.UID = uid("Provisioner", "", p.Name)
	}
	p.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("Provisioner"))
	return errors.Join(checkProvisioner(p), g.put(p))
}

// checkProvisioner finds what the API server would refuse and plan would read as something else. The rest of the CRD's rules is the
// API server's business.
func checkProvisioner(p *v1alpha1.Provisioner) error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(p.Name) > 63 {
		wrong("metadata.name: has more than 63 characters")
	}
	if p.Spec.Weight < 0 || p.Spec.Weight > 100 {
		wrong("spec.weight: want 0 to 100, not %d", p.Spec.Weight)
	}
	for i, r := range p.Spec.Requirements {
		term := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{r}}
		if _, err := nodeaffinity.NewNodeSelector(&corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term}}); err != nil {
			wrong("spec.requirements[%d]: %s %s %v is not valid: In and NotIn take values, Exists and DoesNotExist none, Gt and Lt one integer",
				i, r.Key, r.Operator, r.Values)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Spec.Limits)) {
		q := p.Spec.Limits[name]
		known := strings.Contains(string(name), "/") || slices.Contains([]corev1.ResourceName{v1alpha1.LimitGPU, v1alpha1.LimitNodes,
			v1alpha1.LimitCostPerHour, corev1.ResourceCPU, corev1.ResourceMemory}, name)
		switch {
		case !known:
			wrong("spec.limits[%s]: limits know gpu, nodes, costPerHour, cpu, memory and extended resources", name)
		case q.Sign() < 0:
			wrong("spec.limits[%s]: must not be negative, is %s", name, q.String())
		}
	}
	for i, t := range p.Spec.Template.Taints {
		if t.Key == "" || !slices.Contains([]corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule,
			corev1.TaintEffectNoExecute}, t.Effect) {
			wrong("spec.template.taints[%d]: want a key, and the effect NoSchedule, PreferNoSchedule or NoExecute", i)
		}
	}
	return errors.Join(errs...)
}
