package migrate

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// aboutGPUs answers why a Provisioner is not about GPUs; empty: it is.
func aboutGPUs(p *v1alpha1.Provisioner, all bool) string {
	switch {
	case len(gpuTypes(p)) == 0:
		return "its requirements admit no instance type with GPUs that is known (of " + catalogue.Embedded().AsOf + "): its pods stay with whoever serves them now"
	case all || namesGPUs(p):
		return ""
	}
	return "nothing in it is about GPUs, though it could launch machines with them: use --all to import it as well"
}

// gpuTypes are the instance types with GPUs that a Provisioner's requirements admit, of all that are known.
func gpuTypes(p *v1alpha1.Provisioner) []cloud.InstanceType {
	var list []cloud.InstanceType
	for _, t := range catalogue.Embedded().Types {
		if t.GPU.Count > 0 && admits(p.Spec.Requirements, plan.TypeLabels(t)) {
			list = append(list, t)
		}
	}
	return list
}

// admits tells whether labels of a type satisfy the requirements on types; those on other keys do not count, and one that cannot be
// read admits nothing.
func admits(requirements []corev1.NodeSelectorRequirement, labels map[string]string) bool {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: labels}}
	for _, r := range requirements {
		if _, has := labels[r.Key]; !has && !ofType(r.Key) {
			continue
		}
		selector, err := nodeaffinity.NewNodeSelector(&corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
			{MatchExpressions: []corev1.NodeSelectorRequirement{r}}}})
		if err != nil || !selector.Match(node) {
			return false
		}
	}
	return true
}

func ofType(key string) bool {
	return strings.HasPrefix(key, v1alpha1.Group+"/instance-") || key == corev1.LabelInstanceTypeStable
}

// namesGPUs tells whether anything in a Provisioner chooses machines for their GPUs.
func namesGPUs(p *v1alpha1.Provisioner) bool {
	chooses := func(r corev1.NodeSelectorRequirement) bool {
		switch r.Key {
		case corev1.LabelInstanceTypeStable, v1alpha1.LabelInstanceFamily, v1alpha1.LabelInstanceCategory, v1alpha1.LabelAccelerator,
			v1alpha1.LabelGPUProduct, v1alpha1.LabelGPUCount, v1alpha1.LabelGPUMemory:
			return r.Operator == corev1.NodeSelectorOpIn || r.Operator == corev1.NodeSelectorOpExists
		}
		return strings.HasPrefix(r.Key, v1alpha1.Group+"/instance-gpu-") && r.Operator != corev1.NodeSelectorOpNotIn
	}
	limit, limited := p.Spec.Limits[v1alpha1.LimitGPU]
	taints := slices.Concat(p.Spec.Template.Taints, p.Spec.Template.StartupTaints)
	return slices.ContainsFunc(p.Spec.Requirements, chooses) || limited && !limit.IsZero() ||
		slices.ContainsFunc(taints, func(t corev1.Taint) bool {
			return strings.Contains(t.Key, "gpu") || strings.Contains(t.Key, "nvidia") || strings.Contains(t.Key, "accelerator")
		})
}
