package demand

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// problems are what a pod asks for and Slipway does not understand, each as "field: what; remedy". They name fields so that
// pods of one template have equal problems: no index, no name that a controller generates.
type problems []string

func (p *problems) add(field, format string, args ...any) {
	*p = append(*p, field+": "+fmt.Sprintf(format, args...))
}

// String is one message, whatever order the problems were found in.
func (p problems) String() string {
	if len(p) == 0 {
		return ""
	}
	slices.Sort(p)
	return strings.Join(slices.Compact(p), ". ")
}

const noDRA = "GPUs by dynamic resource allocation are not supported yet; ask for %s in resources.limits instead"

// unsupported answers what of the pod's spec besides its selection is not understood; empty: nothing.
func unsupported(pod *corev1.Pod) string {
	var p problems
	spec := &pod.Spec
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			p.resources(&containers[i].Resources)
		}
	}
	if spec.Resources != nil {
		p.unknown(spec.Resources.Requests)
	}
	p.unknown(spec.Overhead)
	if len(spec.ResourceClaims) > 0 {
		p.add("spec.resourceClaims", noDRA, v1alpha1.ResourceGPU)
	}
	// kube-scheduler binds the pods of a PodGroup together or not at all, under a policy and constraints that only the group tells. A node
	// for some of them would be bought for nobody. Where the feature is off the API server drops the field.
	if spec.SchedulingGroup != nil {
		p.add("spec.schedulingGroup", "pods of a PodGroup, which are scheduled together, are not supported yet; leave the field out")
	}
	if spec.OS != nil && spec.OS.Name != corev1.Linux {
		p.add("spec.os", "only Linux nodes are launched; leave it out or say linux")
	}
	return p.String()
}

func (p *problems) resources(r *corev1.ResourceRequirements) {
	p.unknown(r.Requests)
	p.unknown(r.Limits)
	for _, name := range []corev1.ResourceName{v1alpha1.ResourceGPU, v1alpha1.ResourceAMDGPU} {
		request, requested := r.Requests[name]
		limit, limited := r.Limits[name]
		if requested && request.Cmp(limit) != 0 {
			p.add("resources.limits["+string(name)+"]", "is %s while the request is %s; GPUs cannot be overcommitted, make both equal",
				limit.String(), request.String())
		}
		if limited && limit.MilliValue()%1000 != 0 {
			p.add("resources.limits["+string(name)+"]", "%s is not a whole number; ask for whole GPUs", limit.String())
		}
	}
}

// unknown finds resources that no node is known to have. The scheduler ignores amounts of 0.
func (p *problems) unknown(list corev1.ResourceList) {
	for name, q := range list {
		if q.Sign() == 0 {
			continue
		}
		field := "resources.requests[" + string(name) + "]"
		switch {
		case known(name):
		case strings.HasPrefix(string(name), v1alpha1.ResourceMIGPrefix):
			p.add(field, "MIG slices are not supported yet; ask for whole GPUs (%s)", v1alpha1.ResourceGPU)
		case name == v1alpha1.ResourceSharedGPU:
			p.add(field, "shared GPUs are not supported yet; ask for whole GPUs (%s)", v1alpha1.ResourceGPU)
		case ofDeviceClass(name):
			p.add(field, noDRA, v1alpha1.ResourceGPU)
		case strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix):
			p.add(field, "huge pages are not supported yet, a new node has none; use memory")
		default:
			p.add(field, "it is not known which nodes have this resource; remove it, or provide such nodes without Slipway")
		}
	}
}

func known(name corev1.ResourceName) bool {
	switch name {
	case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage, corev1.ResourcePods,
		v1alpha1.ResourceGPU, v1alpha1.ResourceAMDGPU, v1alpha1.ResourceEFA:
		return true
	}
	return false
}

// invalid answers which parts of a Selection are not valid, so that the scheduler would never place the pod: no required term is
// valid, or a preferred one is not. A required term that is not valid among others that are is no problem: it matches nothing.
func invalid(s *Selection) string {
	var p problems
	if s.Required != nil {
		var bad problems
		valid := false
		for i := range s.Required.NodeSelectorTerms {
			before := len(bad)
			bad.term("spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution", &s.Required.NodeSelectorTerms[i])
			valid = valid || len(bad) == before
		}
		if !valid {
			p = append(p, bad...)
		}
	}
	for i := range s.Preferred {
		p.term("spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution", &s.Preferred[i].Preference)
	}
	return p.String()
}

// term looks at each requirement on its own, for a message without the index, which the pods of a demand need not share.
func (p *problems) term(field string, t *corev1.NodeSelectorTerm) {
	check := func(kind string, r corev1.NodeSelectorRequirement, term corev1.NodeSelectorTerm) {
		_, err := nodeaffinity.NewNodeSelector(&corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term}})
		if err != nil {
			p.add(field, "%s with key %q, operator %q and values %q is not valid, so the scheduler never places the pod; "+
				"Gt and Lt take one integer, matchFields one value, labels at most 63 characters", kind, r.Key, r.Operator, r.Values)
		}
	}
	for _, r := range t.MatchExpressions {
		check("matchExpressions", r, corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{r}})
	}
	for _, r := range t.MatchFields {
		check("matchFields", r, corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{r}})
	}
}
