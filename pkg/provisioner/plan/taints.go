package plan

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// nodeChoice is a demand's selection, compiled once for all that have an equal one.
type nodeChoice struct {
	required *demand.Matcher
	// avoiding keeps off taints of effect PreferNoSchedule, too; nil where there are none.
	avoiding *demand.Matcher
	scorer   *demand.Scorer // nil: nothing is preferred
}

func (g *growth) compiled(s *demand.Selection) *nodeChoice {
	text := s.Text()
	if known, ok := g.compiledBy[text]; ok {
		return known
	}
	c := &nodeChoice{required: s.Matcher(), scorer: s.Scorer()}
	if g.discouraged {
		c.avoiding = c.required.Avoiding()
	}
	g.compiledBy[text] = c
	return c
}

// discourages tells whether any node, there or to be bought, has a taint that only puts pods off.
func (g *growth) discourages() bool {
	puts := func(taints []corev1.Taint) bool {
		return slices.ContainsFunc(taints, func(t corev1.Taint) bool { return t.Effect == corev1.TaintEffectPreferNoSchedule })
	}
	return slices.ContainsFunc(g.pools, func(p pool) bool { return puts(p.taints) }) ||
		slices.ContainsFunc(g.bins, func(b bin) bool { return puts(b.taints) })
}
