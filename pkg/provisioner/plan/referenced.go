package plan

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// referencedValues lists, by label key, the values that the demands ask for by name, sorted: what a Provisioner whose requirements leave a
// custom key open can put on its nodes.
func referencedValues(demands []demand.Demand) map[string][]string {
	sets := map[string]map[string]bool{}
	add := func(key, value string) {
		if sets[key] == nil {
			sets[key] = map[string]bool{}
		}
		sets[key][value] = true
	}
	addTerm := func(t corev1.NodeSelectorTerm) {
		for _, r := range t.MatchExpressions {
			if r.Operator == corev1.NodeSelectorOpIn {
				for _, value := range r.Values {
					add(r.Key, value)
				}
			}
		}
	}
	for _, d := range demands {
		for key, value := range d.Select.NodeSelector {
			add(key, value)
		}
		if d.Select.Required != nil {
			for _, t := range d.Select.Required.NodeSelectorTerms {
				addTerm(t)
			}
		}
		for _, p := range d.Select.Preferred {
			addTerm(p.Preference)
		}
	}
	values := make(map[string][]string, len(sets))
	for key, set := range sets {
		values[key] = slices.Sorted(maps.Keys(set))
	}
	return values
}
