package demand

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// SelectionOf answers what a pod with this spec demands of a node. What makes no difference to a match makes none to the
// result: the order of required terms, expressions, values and tolerations is gone, and tolerationSeconds too. Nothing in the
// result is shared with the spec.
func SelectionOf(spec *corev1.PodSpec) Selection {
	s := Selection{Tolerations: tolerations(spec.Tolerations)}
	if len(spec.NodeSelector) > 0 {
		s.NodeSelector = maps.Clone(spec.NodeSelector)
	}
	if spec.Affinity == nil || spec.Affinity.NodeAffinity == nil {
		return s
	}
	affinity := spec.Affinity.NodeAffinity
	if required := affinity.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
		s.Required = &corev1.NodeSelector{NodeSelectorTerms: requiredTerms(required.NodeSelectorTerms)}
	}
	for _, p := range affinity.PreferredDuringSchedulingIgnoredDuringExecution {
		if p.Weight != 0 && !emptyTerm(p.Preference) { // the scheduler skips these, too
			s.Preferred = append(s.Preferred, corev1.PreferredSchedulingTerm{Weight: p.Weight, Preference: canonicalTerm(p.Preference)})
		}
	}
	slices.SortStableFunc(s.Preferred, func(a, b corev1.PreferredSchedulingTerm) int { return cmp.Compare(b.Weight, a.Weight) })
	return s
}

// requiredTerms leaves empty terms out: they match nothing, and terms are alternatives.
func requiredTerms(terms []corev1.NodeSelectorTerm) []corev1.NodeSelectorTerm {
	var all []corev1.NodeSelectorTerm
	for _, t := range terms {
		if !emptyTerm(t) {
			all = append(all, canonicalTerm(t))
		}
	}
	slices.SortFunc(all, compareNodeTerms)
	return all
}

func emptyTerm(t corev1.NodeSelectorTerm) bool {
	return len(t.MatchExpressions) == 0 && len(t.MatchFields) == 0
}

func canonicalTerm(t corev1.NodeSelectorTerm) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{
		MatchExpressions: canonicalRequirements(t.MatchExpressions),
		MatchFields:      canonicalRequirements(t.MatchFields),
	}
}

func canonicalRequirements(in []corev1.NodeSelectorRequirement) []corev1.NodeSelectorRequirement {
	if len(in) == 0 {
		return nil
	}
	out := slices.Clone(in)
	for i := range out {
		// Not compacted: Gt with two equal values is as invalid as with two others.
		out[i].Values = slices.Sorted(slices.Values(in[i].Values))
	}
	slices.SortFunc(out, compareRequirements)
	return out
}

func compareRequirements(a, b corev1.NodeSelectorRequirement) int {
	return cmp.Or(strings.Compare(a.Key, b.Key), cmp.Compare(a.Operator, b.Operator), slices.Compare(a.Values, b.Values))
}

func tolerations(in []corev1.Toleration) []corev1.Toleration {
	if len(in) == 0 {
		return nil
	}
	out := slices.Clone(in)
	for i := range out {
		out[i].TolerationSeconds = nil // says how long, not whether
		out[i].Operator = cmp.Or(out[i].Operator, corev1.TolerationOpEqual)
	}
	slices.SortFunc(out, func(a, b corev1.Toleration) int {
		return cmp.Or(strings.Compare(a.Key, b.Key), cmp.Compare(a.Operator, b.Operator),
			strings.Compare(a.Value, b.Value), cmp.Compare(a.Effect, b.Effect))
	})
	return slices.Compact(out)
}
