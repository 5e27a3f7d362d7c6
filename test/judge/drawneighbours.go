package judge

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// domain is a topology key, the usual ones more often.
func (d *draw) domain() string {
	return pick(d, corev1.LabelTopologyZone, corev1.LabelTopologyZone, corev1.LabelTopologyZone, corev1.LabelTopologyZone,
		corev1.LabelHostname, corev1.LabelHostname, corev1.LabelHostname, v1alpha1.LabelCapacityType, v1alpha1.KarpenterCapacityType, rack)
}

// choice is a selector of pods, most often one that chooses the pod itself.
func (d *draw) choice(p *corev1.Pod) *metav1.LabelSelector {
	switch d.IntN(10) {
	case 0:
		return &metav1.LabelSelector{} // everything
	case 1:
		return nil // nothing
	case 2:
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app",
			Operator: pick(d, metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn), Values: some(d, "a", "b", "c")}}}
	case 3:
		return &metav1.LabelSelector{MatchLabels: map[string]string{"app": pick(d, "a", "b", "c")}}
	case 4:
		return &metav1.LabelSelector{MatchLabels: map[string]string{"tier": p.Labels["tier"]},
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpExists}}}
	}
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": p.Labels["app"]}}
}

func (d *draw) spread(p *corev1.Pod) corev1.TopologySpreadConstraint {
	c := corev1.TopologySpreadConstraint{TopologyKey: d.domain(), MaxSkew: int32(pick(d, 1, 1, 2, 3)), LabelSelector: d.choice(p),
		WhenUnsatisfiable: corev1.DoNotSchedule}
	if d.chance(40) { // as most people write it
		c.TopologyKey, c.MaxSkew, c.LabelSelector = corev1.LabelTopologyZone, 1, &metav1.LabelSelector{MatchLabels: map[string]string{"app": p.Labels["app"]}}
	} else if d.chance(25) {
		c.WhenUnsatisfiable = corev1.ScheduleAnyway
	} else if d.chance(25) {
		domains := int32(1 + d.IntN(4))
		c.MinDomains = &domains
	}
	policy := func() *corev1.NodeInclusionPolicy {
		if d.chance(40) {
			return nil
		}
		return new(pick(d, corev1.NodeInclusionPolicyHonor, corev1.NodeInclusionPolicyIgnore))
	}
	c.NodeAffinityPolicy, c.NodeTaintsPolicy = policy(), policy()
	if c.LabelSelector != nil && d.chance(35) {
		c.MatchLabelKeys = []string{hash}
		if d.chance(30) { // since 1.34 the API server spells it out
			c.LabelSelector = narrowed(c.LabelSelector, metav1.LabelSelectorOpIn, p)
		}
	}
	return c
}

// spreadByDefault draws what the scheduler spreads pods by that say nothing themselves, and the objects that tell which belong together. A template's
// pods name the ReplicaSet of its hash as their controller.
func (d *draw) spreadByDefault(templates []*corev1.Pod) {
	if !d.on[defaults] {
		return
	}
	for range 1 + d.IntN(2) {
		d.defaults = appendSpread(d.defaults, corev1.TopologySpreadConstraint{MaxSkew: int32(pick(d, 1, 1, 2)),
			TopologyKey:       pick(d, corev1.LabelTopologyZone, corev1.LabelTopologyZone, corev1.LabelHostname, v1alpha1.LabelCapacityType),
			WhenUnsatisfiable: pick(d, corev1.DoNotSchedule, corev1.DoNotSchedule, corev1.DoNotSchedule, corev1.ScheduleAnyway)})
	}
	for _, t := range templates {
		if d.chance(60) {
			rs := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: "rs-" + t.Labels[hash]}}
			rs.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{hash: t.Labels[hash]}}
			d.add(rs, "rs")
		}
		if d.chance(40) {
			d.add(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace},
				Spec: corev1.ServiceSpec{Selector: map[string]string{"app": t.Labels["app"]}}}, "service")
		}
	}
}

// spreads are the constraints that hold for a pod: its own, or those that the scheduler has for pods without any that belong to something.
func (w *world) spreads(p *corev1.Pod) []corev1.TopologySpreadConstraint {
	if len(p.Spec.TopologySpreadConstraints) > 0 {
		return p.Spec.TopologySpreadConstraints
	}
	belongs := false
	each(w, func(s *corev1.Service) {
		belongs = belongs || s.Namespace == p.Namespace && labels.SelectorFromSet(s.Spec.Selector).Matches(labels.Set(p.Labels))
	})
	each(w, func(rs *appsv1.ReplicaSet) {
		belongs = belongs || rs.Namespace == p.Namespace && slices.ContainsFunc(p.OwnerReferences, func(o metav1.OwnerReference) bool { return o.Name == rs.Name })
	})
	if !belongs {
		return nil
	}
	return w.defaults
}

// narrowed adds to a selector what the API server makes of matchLabelKeys and mismatchLabelKeys.
func narrowed(s *metav1.LabelSelector, op metav1.LabelSelectorOperator, p *corev1.Pod) *metav1.LabelSelector {
	s = s.DeepCopy()
	s.MatchExpressions = append(s.MatchExpressions, metav1.LabelSelectorRequirement{Key: hash, Operator: op, Values: []string{p.Labels[hash]}})
	return s
}

func (d *draw) podTerm(p *corev1.Pod) corev1.PodAffinityTerm {
	t := corev1.PodAffinityTerm{TopologyKey: d.domain(), LabelSelector: d.choice(p)}
	switch d.IntN(6) {
	case 0:
		t.Namespaces = some(d, spaces...)
	case 1:
		t.NamespaceSelector = &metav1.LabelSelector{}
	case 2:
		t.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"kind": "lab"}}
	}
	if t.LabelSelector == nil || !d.chance(20) {
		return t
	}
	if d.chance(50) {
		t.MatchLabelKeys = []string{hash}
		t.LabelSelector = narrowed(t.LabelSelector, metav1.LabelSelectorOpIn, p)
	} else {
		t.MismatchLabelKeys = []string{hash}
		t.LabelSelector = narrowed(t.LabelSelector, metav1.LabelSelectorOpNotIn, p)
	}
	return t
}

// nearTerms are one or two; the second most often about the same pods, by another label, since only pods that all terms choose count.
func (d *draw) nearTerms(p *corev1.Pod) []corev1.PodAffinityTerm {
	list := []corev1.PodAffinityTerm{d.podTerm(p)}
	if d.chance(60) {
		return list
	}
	second := d.podTerm(p)
	if d.chance(75) {
		second = *list[0].DeepCopy()
		second.TopologyKey = pick(d, d.domain(), rack)
	}
	return append(list, second)
}

// affinity draws what the pod wants to be near to and apart from, required and preferred.
func (d *draw) affinity(p *corev1.Pod) {
	if !d.on[near] && !d.on[apart] {
		return
	}
	a := p.Spec.Affinity
	if a == nil {
		a = &corev1.Affinity{}
	}
	weighted := func() corev1.WeightedPodAffinityTerm {
		return corev1.WeightedPodAffinityTerm{Weight: int32(1 + d.IntN(100)), PodAffinityTerm: d.podTerm(p)}
	}
	if d.often(near, 50) {
		a.PodAffinity = &corev1.PodAffinity{}
		if d.chance(75) {
			a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution = d.nearTerms(p)
		} else {
			a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution = []corev1.WeightedPodAffinityTerm{weighted()}
		}
	}
	if d.often(apart, 50) {
		a.PodAntiAffinity = &corev1.PodAntiAffinity{}
		if d.chance(75) {
			for range 1 + d.IntN(2) {
				a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution = append(
					a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution, d.podTerm(p))
			}
		} else {
			a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution = []corev1.WeightedPodAffinityTerm{weighted()}
		}
	}
	p.Spec.Affinity = a
}
