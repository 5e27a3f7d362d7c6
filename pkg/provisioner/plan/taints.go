package plan

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// levelsOf answers what to try for pods, strictest first. To keep off taints of effect PreferNoSchedule is one more level, and only worth it
// where there are such.
func (g *growth) levelsOf(s *demand.Selection) []*demand.Matcher {
	text := s.Text()
	if known, ok := g.matchers[text]; ok {
		return known
	}
	list := s.Matchers()
	if g.discouraged {
		list = s.AvoidingMatchers()
	}
	g.matchers[text] = list
	return list
}

// discourages tells whether any node, there or to be bought, has a taint that only puts pods off.
func (g *growth) discourages() bool {
	puts := func(taints []corev1.Taint) bool {
		return slices.ContainsFunc(taints, func(t corev1.Taint) bool { return t.Effect == corev1.TaintEffectPreferNoSchedule })
	}
	return slices.ContainsFunc(g.pools, func(p pool) bool { return puts(p.taints) }) ||
		slices.ContainsFunc(g.bins, func(b bin) bool { return puts(b.taints) })
}
