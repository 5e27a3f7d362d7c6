package demand

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// asks is what a pod's own spec says of its neighbours.
type asks struct {
	neighbours Neighbours  // Chosen and Ports are not filled in
	selectors  []*selector // of its terms
	problems   problems    // what is not valid, so that no scheduler places the pod
	id         int         // among all that were read, from 1; 0: it says nothing
}

// none is what most pods ask.
var none = &asks{}

// reader reads what pods say of their neighbours, once for all pods that say the same.
type reader struct {
	namespaces map[string]map[string]string // labels by name
	names      []string                     // sorted
	known      map[string]*asks             // by encoding.surroundings
	belonging  *belonging
	buffer     encoding
}

// newReader knows the namespaces that pods are in even if no object says so, as in manifests. The API server gives each the label that
// names it.
func newReader(s Surroundings) *reader {
	r := &reader{namespaces: maps.Clone(s.Namespaces), known: map[string]*asks{}, belonging: newBelonging(s.Defaults)}
	if r.namespaces == nil {
		r.namespaces = map[string]map[string]string{}
	}
	for _, pods := range [][]*corev1.Pod{s.Waiting, s.Placed} {
		for _, pod := range pods {
			if _, known := r.namespaces[pod.Namespace]; !known {
				r.namespaces[pod.Namespace] = map[string]string{corev1.LabelMetadataName: pod.Namespace}
			}
		}
	}
	r.names = slices.Sorted(maps.Keys(r.namespaces))
	return r
}

// of answers what a pod asks.
func (r *reader) of(pod *corev1.Pod) *asks {
	together := r.belonging.of(pod)
	if together == nil && !asksOfPods(&pod.Spec) {
		return none
	}
	r.buffer = r.buffer[:0].surroundings(pod)
	if together != nil {
		r.buffer = r.buffer.text(together.String())
	}
	if known, ok := r.known[string(r.buffer)]; ok {
		return known
	}
	print := string(r.buffer)
	a := r.read(pod, together)
	a.id = len(r.known) + 1
	r.known[print] = a
	return a
}

func asksOfPods(spec *corev1.PodSpec) bool {
	return len(spec.TopologySpreadConstraints) > 0 ||
		spec.Affinity != nil && (spec.Affinity.PodAffinity != nil || spec.Affinity.PodAntiAffinity != nil)
}

func (r *reader) read(pod *corev1.Pod, together labels.Selector) *asks {
	a := &asks{}
	if affinity := pod.Spec.Affinity; affinity != nil {
		if near := affinity.PodAffinity; near != nil {
			a.near(r, pod, near.RequiredDuringSchedulingIgnoredDuringExecution)
			a.preferred(r, pod, near.PreferredDuringSchedulingIgnoredDuringExecution, 1)
		}
		if apart := affinity.PodAntiAffinity; apart != nil {
			a.apart(r, pod, apart.RequiredDuringSchedulingIgnoredDuringExecution)
			a.preferred(r, pod, apart.PreferredDuringSchedulingIgnoredDuringExecution, -1)
		}
	}
	for i := range pod.Spec.TopologySpreadConstraints {
		c := &pod.Spec.TopologySpreadConstraints[i]
		a.spread(pod.Namespace, c, a.labels(spreadField, keyed(c.LabelSelector, c.MatchLabelKeys, nil, pod.Labels)))
	}
	if together != nil {
		for i := range r.belonging.constraints {
			a.spread(pod.Namespace, &r.belonging.constraints[i], together)
		}
	}
	n := &a.neighbours
	slices.SortFunc(n.Near, compareTerms)
	slices.SortFunc(n.Apart, compareTerms)
	n.Near, n.Apart = slices.Compact(n.Near), slices.Compact(n.Apart)
	slices.SortStableFunc(n.Preferred, func(x, y Preference) int { return cmp.Compare(max(y.Weight, -y.Weight), max(x.Weight, -x.Weight)) })
	return a
}

func compareTerms(a, b Term) int {
	return cmp.Or(strings.Compare(a.TopologyKey, b.TopologyKey), cmp.Compare(a.Selector, b.Selector))
}

// near reads required affinity. kube-scheduler counts a pod for a term only if all terms choose it, so all of them get the selector
// of what they choose together.
func (a *asks) near(r *reader, pod *corev1.Pod, terms []corev1.PodAffinityTerm) {
	const field = "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution"
	var together *selector
	for i := range terms {
		s := a.selector(r, pod, field, &terms[i])
		if together == nil {
			together = s
		} else {
			together = both(together, s)
		}
	}
	for i := range terms {
		a.neighbours.Near = append(a.neighbours.Near, a.term(field, terms[i].TopologyKey, together))
	}
}

func (a *asks) apart(r *reader, pod *corev1.Pod, terms []corev1.PodAffinityTerm) {
	const field = "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution"
	for i := range terms {
		a.neighbours.Apart = append(a.neighbours.Apart, a.term(field, terms[i].TopologyKey, a.selector(r, pod, field, &terms[i])))
	}
}

func (a *asks) preferred(r *reader, pod *corev1.Pod, terms []corev1.WeightedPodAffinityTerm, sign int32) {
	field := "spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution"
	if sign < 0 {
		field = "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution"
	}
	for i := range terms {
		if t := &terms[i].PodAffinityTerm; terms[i].Weight != 0 {
			a.neighbours.Preferred = append(a.neighbours.Preferred, Preference{
				Term: a.term(field, t.TopologyKey, a.selector(r, pod, field, t)), Weight: sign * terms[i].Weight,
			})
		}
	}
}

const spreadField = "spec.topologySpreadConstraints[]"

// spread reads a constraint. It is about pods of the own namespace. A selector that is empty counts no pod that runs, as kube-scheduler
// has it, so that no skew comes of it: it chooses nothing here.
func (a *asks) spread(namespace string, c *corev1.TopologySpreadConstraint, among labels.Selector) {
	if among.Empty() {
		among = labels.Nothing()
	}
	s := Spread{
		Term:    a.term(spreadField, c.TopologyKey, newSelector(false, []string{namespace}, among)),
		MaxSkew: c.MaxSkew, Soft: c.WhenUnsatisfiable == corev1.ScheduleAnyway,
		AnyNode:     c.NodeAffinityPolicy != nil && *c.NodeAffinityPolicy == corev1.NodeInclusionPolicyIgnore,
		HonorTaints: c.NodeTaintsPolicy != nil && *c.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor,
	}
	if c.MinDomains != nil && !s.Soft {
		s.MinDomains = *c.MinDomains
	}
	if s.MaxSkew < 1 {
		a.problems.add(spreadField+".maxSkew", "%d is below 1, which the API server refuses; use 1 or more", c.MaxSkew)
	}
	a.neighbours.Spread = append(a.neighbours.Spread, s)
}

// term notes the selector as one that is in use.
func (a *asks) term(field, topologyKey string, s *selector) Term {
	if topologyKey == "" {
		a.problems.add(field+".topologyKey", "is empty, which the API server refuses; name a label of nodes such as %s", corev1.LabelTopologyZone)
	}
	a.selectors = append(a.selectors, s)
	return Term{TopologyKey: topologyKey, Selector: s.key}
}

// selector reads whom a term of affinity is about: the namespaces named and those that the namespaceSelector selects, all if that is
// empty, the pod's own if neither is given.
func (a *asks) selector(r *reader, pod *corev1.Pod, field string, t *corev1.PodAffinityTerm) *selector {
	chosen := a.labels(field, keyed(t.LabelSelector, t.MatchLabelKeys, t.MismatchLabelKeys, pod.Labels))
	if t.NamespaceSelector == nil && len(t.Namespaces) == 0 {
		return newSelector(false, []string{pod.Namespace}, chosen)
	}
	within := a.labels(field, t.NamespaceSelector)
	if within.Empty() {
		return newSelector(true, nil, chosen)
	}
	namespaces := slices.Clone(t.Namespaces)
	for _, name := range r.names {
		if within.Matches(labels.Set(r.namespaces[name])) {
			namespaces = append(namespaces, name)
		}
	}
	return newSelector(false, namespaces, chosen)
}

// labels compiles a label selector; one that is not valid chooses nothing.
func (a *asks) labels(field string, s *metav1.LabelSelector) labels.Selector {
	compiled, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		a.problems.add(field, "labelSelector %s is not valid, which the API server refuses; see the rules of label selectors",
			metav1.FormatLabelSelector(s))
		return labels.Nothing()
	}
	return compiled
}
