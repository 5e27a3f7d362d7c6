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

// Matcher tells whether nodes satisfy what a Selection requires. It decides with the scheduler's library, on labels, the name and taints;
// spec.unschedulable is not its business. It is compiled once and safe for concurrent use.
type Matcher struct {
	required    nodeaffinity.RequiredNodeAffinity
	also        []*nodeaffinity.LazyErrorNodeSelector // each must match
	tolerations []corev1.Toleration
	avoids      bool   // PreferNoSchedule keeps away, too
	anything    bool   // no label is looked at
	newName     string // unnamed if a name is looked at; else empty, which is faster
}

// Matcher compiles what s requires. Terms that are not valid match nothing.
func (s Selection) Matcher() *Matcher {
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

// Avoiding answers a Matcher that keeps off taints of effect PreferNoSchedule, too.
func (m *Matcher) Avoiding() *Matcher {
	a := *m
	a.avoids = true
	return &a
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
	for _, s := range m.also {
		if ok, _ := s.Match(&node); !ok {
			return false
		}
	}
	return true
}

// Tolerates tells whether no taint keeps the pod away; one of effect PreferNoSchedule does only for an Avoiding one.
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

// Scorer tells how much nodes are preferred, as kube-scheduler does.
type Scorer struct {
	terms   []*nodeaffinity.LazyErrorNodeSelector
	weights []int64
	newName string
}

// Scorer compiles what s prefers; nil: nothing.
func (s Selection) Scorer() *Scorer {
	if len(s.Preferred) == 0 {
		return nil
	}
	c := &Scorer{}
	for _, p := range s.Preferred {
		terms := []corev1.NodeSelectorTerm{p.Preference}
		c.terms = append(c.terms, nodeaffinity.NewLazyErrorNodeSelector(&corev1.NodeSelector{NodeSelectorTerms: terms}))
		c.weights = append(c.weights, int64(p.Weight))
		if len(p.Preference.MatchFields) > 0 {
			c.newName = unnamed
		}
	}
	return c
}

// Score answers the sum of the weights of the preferred terms that a node of this name with these labels matches. One that does not exist yet
// has no name. A term that is not valid matches nothing.
func (c *Scorer) Score(name string, labels map[string]string) int64 {
	if name == "" {
		name = c.newName
	}
	node := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	sum := int64(0)
	for i, term := range c.terms {
		if ok, _ := term.Match(&node); ok {
			sum += c.weights[i]
		}
	}
	return sum
}
