package demand

import (
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	schedulinghelper "k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/component-helpers/scheduling/corev1/nodeaffinity"
)

// unnamed stands for the name of a node that does not exist yet. No node can have it, so a pod that demands a node by name
// matches no new one. An empty name would not do: the scheduler's library then leaves matchFields out.
const unnamed = "(new)"

// Matcher tells whether nodes satisfy a Selection at one Level. It decides with the scheduler's library, on labels, the name and taints;
// spec.unschedulable is not its business. It is compiled once and safe for concurrent use.
type Matcher struct {
	required    nodeaffinity.RequiredNodeAffinity
	also        []*nodeaffinity.LazyErrorNodeSelector // each must match, as must each preferred
	preferred   []*nodeaffinity.LazyErrorNodeSelector
	tolerations []corev1.Toleration
	avoids      bool   // PreferNoSchedule keeps away, too
	anything    bool   // no label is looked at
	newName     string // unnamed if a name is looked at; else empty, which is faster
}

// Matcher compiles one Level of s; nil is the Level of what is required only. Terms that are not valid match nothing.
func (s Selection) Matcher(level Level) *Matcher {
	m := s.base()
	m.demand(s, level)
	return m
}

// Matchers compiles all of s.Levels(), in their order.
func (s Selection) Matchers() []*Matcher {
	levels := s.Levels()
	base := s.base()
	all := make([]*Matcher, len(levels))
	for i, level := range levels {
		m := *base
		m.demand(s, level)
		all[i] = &m
	}
	return all
}

// AvoidingMatchers are Matchers for where taints of effect PreferNoSchedule are about: all of them keep off what the pod does not tolerate
// of those, and one more at the end is content with them. It is the last preference that Kubernetes' users expect to be given up.
func (s Selection) AvoidingMatchers() []*Matcher {
	all := s.Matchers()
	last := *all[len(all)-1]
	for _, m := range all {
		m.avoids = true
	}
	return append(all, &last)
}

func (s Selection) base() *Matcher {
	m := &Matcher{tolerations: s.Tolerations, anything: len(s.NodeSelector) == 0 && s.Required == nil && len(s.Also) == 0}
	var affinity *corev1.Affinity
	if s.Required != nil {
		affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: s.Required}}
		m.lookAtNames(s.Required.NodeSelectorTerms)
	}
	for i := range s.Also {
		m.also = append(m.also, nodeaffinity.NewLazyErrorNodeSelector(&s.Also[i]))
		m.lookAtNames(s.Also[i].NodeSelectorTerms)
	}
	m.required = nodeaffinity.NewRequiredNodeAffinity(s.NodeSelector, affinity)
	return m
}

func (m *Matcher) demand(s Selection, level Level) {
	for _, i := range level {
		terms := []corev1.NodeSelectorTerm{s.Preferred[i].Preference}
		m.preferred = append(m.preferred, nodeaffinity.NewLazyErrorNodeSelector(&corev1.NodeSelector{NodeSelectorTerms: terms}))
		m.anything = false
		m.lookAtNames(terms)
	}
}

func (m *Matcher) lookAtNames(terms []corev1.NodeSelectorTerm) {
	for _, t := range terms {
		if len(t.MatchFields) > 0 {
			m.newName = unnamed
		}
	}
}

// Matches tells whether a node that does not exist yet and will have these labels and taints is accepted.
func (m *Matcher) Matches(labels map[string]string, taints []corev1.Taint) bool {
	return m.Tolerates(taints) && m.Selects(m.newName, labels)
}

// MatchesNode tells whether the node of this name with these labels and taints is accepted.
func (m *Matcher) MatchesNode(name string, labels map[string]string, taints []corev1.Taint) bool {
	return m.Tolerates(taints) && m.Selects(name, labels)
}

// Selects is the part of MatchesNode that is about labels and the name.
func (m *Matcher) Selects(name string, labels map[string]string) bool {
	if m.anything {
		return true
	}
	node := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	// The errors are those of terms that are not valid; such a term matches nothing.
	if ok, _ := m.required.Match(&node); !ok {
		return false
	}
	for _, list := range [2][]*nodeaffinity.LazyErrorNodeSelector{m.also, m.preferred} {
		for _, s := range list {
			if ok, _ := s.Match(&node); !ok {
				return false
			}
		}
	}
	return true
}

// Tolerates tells whether no taint keeps the pod away; one of effect PreferNoSchedule does only in AvoidingMatchers.
func (m *Matcher) Tolerates(taints []corev1.Taint) bool {
	for i := range taints {
		if taints[i].Effect == corev1.TaintEffectPreferNoSchedule && !m.avoids {
			continue
		}
		// The operators Lt and Gt are behind a gate that is off by default: with it off they tolerate nothing.
		if !schedulinghelper.TolerationsTolerateTaint(logr.Discard(), m.tolerations, &taints[i], false) {
			return false
		}
	}
	return true
}
