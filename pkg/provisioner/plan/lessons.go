package plan

import (
	"maps"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// lessons are what earlier rounds of dealing and packing have taught. They only add up, so that the rounds come to an end.
type lessons struct {
	caps   map[string]map[string]int   // by item and cell: the items that found a place there
	most   map[string]int              // by item: those that found one anywhere, when a limit or a quota stopped the others
	short  map[string]binpack.Reason   // by item: what was in the way, last
	gaveUp map[string]bool             // items that are not dealt any more
	opened binpack.Set                 // offers that have been bought, whose domains thus exist
	fresh  map[demand.SelectorKey]bool // spreads over nodes that new nodes count for, so that the minimum is 0
}

// learn compares what was packed with what was dealt; false if there is nothing to do better in another round.
func (s *stage) learn(solved binpack.Plan, l *lessons, patient bool) bool {
	if s.dealt == nil {
		return false
	}
	again := false
	held := map[int]binpack.Held{}
	for _, h := range solved.Held {
		held[h.Demand] = h
	}
	placed, told := map[string]int{}, maps.Clone(l.most)
	for i, p := range s.portions {
		placed[p.item.name] += p.n - held[i].Count
	}
	for i, p := range s.portions {
		h, short := held[i]
		if !short || p.cell == nil {
			continue
		}
		again = true
		name := p.item.name
		l.short[name] = h.Reason
		_, before := told[name]
		switch {
		case !patient:
			l.gaveUp[name] = true
		case !before && (h.Reason == binpack.ReasonLimit || h.Reason == binpack.ReasonQuota):
			l.most[name] = placed[name]
		default:
			if l.caps[name] == nil {
				l.caps[name] = map[string]int{}
			}
			l.caps[name][p.cell.Name] = p.n - h.Count
		}
	}
	for _, n := range solved.Nodes {
		for _, o := range n.Offerings {
			if !l.opened.Has(o) && s.dealt.Misses(o) {
				again = true
			}
			l.opened.Add(o)
		}
	}
	return s.learnFresh(solved, l) || again
}
