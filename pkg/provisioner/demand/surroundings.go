package demand

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// surroundings encodes, as it stands, all that reader.read looks at: equal encodings ask the same.
func (e encoding) surroundings(pod *corev1.Pod) encoding {
	e = e.text(pod.Namespace)
	a := pod.Spec.Affinity
	if a == nil {
		a = &corev1.Affinity{}
	}
	near, apart := a.PodAffinity, a.PodAntiAffinity
	if near == nil {
		near = &corev1.PodAffinity{}
	}
	if apart == nil {
		apart = &corev1.PodAntiAffinity{}
	}
	e = e.terms(near.RequiredDuringSchedulingIgnoredDuringExecution, pod.Labels)
	e = e.weighted(near.PreferredDuringSchedulingIgnoredDuringExecution, pod.Labels)
	e = e.terms(apart.RequiredDuringSchedulingIgnoredDuringExecution, pod.Labels)
	e = e.weighted(apart.PreferredDuringSchedulingIgnoredDuringExecution, pod.Labels)
	e = e.number(int64(len(pod.Spec.TopologySpreadConstraints)))
	for i := range pod.Spec.TopologySpreadConstraints {
		e = e.spread(&pod.Spec.TopologySpreadConstraints[i], pod.Labels)
	}
	return e
}

func (e encoding) spread(c *corev1.TopologySpreadConstraint, own map[string]string) encoding {
	e = e.text(c.TopologyKey).text(string(c.WhenUnsatisfiable)).number(int64(c.MaxSkew))
	if c.MinDomains == nil {
		e = e.flag(false)
	} else {
		e = e.flag(true).number(int64(*c.MinDomains))
	}
	for _, policy := range []*corev1.NodeInclusionPolicy{c.NodeAffinityPolicy, c.NodeTaintsPolicy} {
		if policy == nil {
			e = e.text("")
		} else {
			e = e.text(string(*policy))
		}
	}
	return e.labelSelector(c.LabelSelector).values(c.MatchLabelKeys, own)
}

func (e encoding) terms(terms []corev1.PodAffinityTerm, own map[string]string) encoding {
	e = e.number(int64(len(terms)))
	for i := range terms {
		e = e.podTerm(&terms[i], own)
	}
	return e
}

func (e encoding) weighted(terms []corev1.WeightedPodAffinityTerm, own map[string]string) encoding {
	e = e.number(int64(len(terms)))
	for i := range terms {
		e = e.number(int64(terms[i].Weight)).podTerm(&terms[i].PodAffinityTerm, own)
	}
	return e
}

func (e encoding) podTerm(t *corev1.PodAffinityTerm, own map[string]string) encoding {
	e = e.text(t.TopologyKey).labelSelector(t.LabelSelector).labelSelector(t.NamespaceSelector).texts(t.Namespaces)
	return e.values(t.MatchLabelKeys, own).values(t.MismatchLabelKeys, own)
}

func (e encoding) labelSelector(s *metav1.LabelSelector) encoding {
	if s == nil {
		return e.flag(false)
	}
	e = e.flag(true).labels(s.MatchLabels).number(int64(len(s.MatchExpressions)))
	for i := range s.MatchExpressions {
		r := &s.MatchExpressions[i]
		e = e.text(r.Key).text(string(r.Operator)).texts(r.Values)
	}
	return e
}

// values encodes what the pod's own labels say under these keys.
func (e encoding) values(keys []string, own map[string]string) encoding {
	e = e.number(int64(len(keys)))
	for _, key := range keys {
		value, has := own[key]
		e = e.text(key).flag(has).text(value)
	}
	return e
}

func (e encoding) labels(set map[string]string) encoding {
	var few [8]string // on the stack
	keys := few[:0]
	for key := range set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	e = e.number(int64(len(keys)))
	for _, key := range keys {
		e = e.text(key).text(set[key])
	}
	return e
}

func (e encoding) texts(list []string) encoding {
	e = e.number(int64(len(list)))
	for _, s := range list {
		e = e.text(s)
	}
	return e
}
