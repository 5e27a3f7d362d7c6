package plan

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// ask is one part of what a demand asks of a node: the offers that grant it, and the ways to ask for less.
type ask struct {
	granted binpack.Set
	less    []relaxation
}

// relaxation is a ask without one of its requirements, or without any.
type relaxation struct {
	granted binpack.Set // the offers that grant what is left of the ask
	drop    Change
	taints  bool // instead of dropping, tolerate the taints of the offer
}

// asks lists what a selection asks, in the order of the pod's fields. What a single requirement excludes is computed once for all
// demands, so the cost is a few words of bits for each.
func (s *search) asks(sel *demand.Selection) []ask {
	everything := s.everything()
	var list []ask
	for _, key := range sortedKeys(sel.NodeSelector) {
		r := corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{sel.NodeSelector[key]}}
		list = append(list, ask{s.granting(r, false), []relaxation{{everything, Change{Kind: Drop, Field: FieldNodeSelector, Requirement: &r}, false}}})
	}
	if sel.Required != nil {
		list = append(list, s.affinity(sel.Required.NodeSelectorTerms))
	}
	for i := range sel.Also {
		terms := sel.Also[i].NodeSelectorTerms
		drop := Change{Kind: Drop, Field: FieldVolumes, Term: i}
		if len(terms) == 1 && len(terms[0].MatchExpressions) == 1 {
			drop.Requirement = &terms[0].MatchExpressions[0]
		}
		list = append(list, ask{s.anyOf(terms, -1, -1), []relaxation{{everything, drop, false}}})
	}
	return append(list, ask{s.tolerated(sel), []relaxation{{everything, Change{}, true}}})
}

// affinity is the ask for one of several terms. Less of it is a term without one of its requirements, or no term at all.
func (s *search) affinity(terms []corev1.NodeSelectorTerm) ask {
	w := ask{granted: s.anyOf(terms, -1, -1)}
	for t, term := range terms {
		all := requirementsIn(term)
		for r := range all {
			w.less = append(w.less, relaxation{s.anyOf(terms, t, r), Change{Kind: Drop, Field: FieldNodeAffinity, Term: t, Requirement: &all[r]}, false})
		}
	}
	if len(w.less) != 1 {
		w.less = append(w.less, relaxation{s.everything(), Change{Kind: Drop, Field: FieldNodeAffinity}, false})
	}
	return w
}

// requirementsIn are those on labels and then those on fields of the node.
func requirementsIn(t corev1.NodeSelectorTerm) []corev1.NodeSelectorRequirement {
	return slices.Concat(t.MatchExpressions, t.MatchFields)
}

// anyOf answers the offers that satisfy one of the terms, of term t all but requirement r.
func (s *search) anyOf(terms []corev1.NodeSelectorTerm, t, r int) binpack.Set {
	either := binpack.NewSet(len(s.g.offers))
	for i, term := range terms {
		all := s.everything()
		for j, requirement := range requirementsIn(term) {
			if i != t || j != r {
				intersect(all, s.granting(requirement, j >= len(term.MatchExpressions)))
			}
		}
		for w := range either {
			either[w] |= all[w]
		}
	}
	return either
}

// granting answers the offers that satisfy one requirement, by the scheduler's library. Nobody may change the set.
func (s *search) granting(r corev1.NodeSelectorRequirement, field bool) binpack.Set {
	key := r.String()
	if field {
		key = "field " + key
	}
	if known, ok := s.granted[key]; ok {
		return known
	}
	term := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{r}}
	if field {
		term = corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{r}}
	}
	m := demand.Selection{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{term}}}.Matcher()
	set := binpack.NewSet(len(s.g.offers))
	for i := range s.g.offers {
		if m.Matches(s.g.offers[i].labels, nil) {
			set.Add(i)
		}
	}
	s.granted[key] = set
	return set
}

// tolerated answers the offers without a taint that the selection does not tolerate.
func (s *search) tolerated(sel *demand.Selection) binpack.Set {
	m := demand.Selection{Tolerations: sel.Tolerations}.Matcher()
	set, pools := binpack.NewSet(len(s.g.offers)), map[*pool]bool{}
	for i := range s.g.offers {
		p := s.g.offers[i].pool
		tolerates, known := pools[p]
		if !known {
			tolerates = m.Tolerates(p.taints)
			pools[p] = tolerates
		}
		if tolerates {
			set.Add(i)
		}
	}
	return set
}

// everything answers a new set of all offers.
func (s *search) everything() binpack.Set {
	all := binpack.NewSet(len(s.g.offers))
	for i := range s.g.offers {
		all.Add(i)
	}
	return all
}

func intersect(a, b binpack.Set) {
	for w := range a {
		a[w] &= b[w]
	}
}

func empty(s binpack.Set) bool { return !s.Any() }

// relaxed calls f with sets of offers that a demand would accept if it asked for less, and with the relaxations that take part. What nothing
// on offer grants is relaxed always; besides that nothing, one, and, if deep, two. O(asks²) sets.
func (s *search) relaxed(asks []ask, deep bool, f func(granted binpack.Set, by []relaxation)) {
	base, forced := s.everything(), []relaxation(nil)
	var others []ask
	for _, a := range asks {
		if !empty(a.granted) {
			others = append(others, a)
			continue
		}
		// The first way to ask for less that anything grants; the last way grants everything.
		less := a.less[slices.IndexFunc(a.less, func(r relaxation) bool { return !empty(r.granted) })]
		intersect(base, less.granted)
		forced = append(forced, less)
	}
	try := func(but map[int]relaxation, by ...relaxation) {
		set := slices.Clone(base)
		for i, a := range others {
			if less, is := but[i]; is {
				intersect(set, less.granted)
			} else {
				intersect(set, a.granted)
			}
		}
		if len(forced)+len(by) > 0 && !empty(set) {
			f(set, slices.Concat(forced, by))
		}
	}
	try(nil)
	for i, a := range others {
		for _, x := range a.less {
			try(map[int]relaxation{i: x}, x)
			for j := range i {
				for _, y := range others[j].less {
					if deep {
						try(map[int]relaxation{i: x, j: y}, y, x)
					}
				}
			}
		}
	}
}
