package plan

import (
	"maps"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// lessons are what earlier rounds of dealing and packing have taught. They only add up, so that the rounds come to an end.
type lessons struct {
	caps   map[string]map[string]int   // by item and cell: the items that found a place there
	most   map[string]int              // by item: those that found one anywhere, when a limit or a quota stopped the others everywhere
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
	left := s.problem.Remains(&solved)
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
		case !before && (h.Reason == binpack.ReasonLimit || h.Reason == binpack.ReasonQuota) && !s.elsewhere(i, &left):
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

// elsewhere tells whether a node could still be bought, in another cell, for the items of a portion that a limit or a quota stopped in its own:
// other zones and Provisioners have other types and limits.
func (s *stage) elsewhere(portion int, left *binpack.Remains) bool {
	p := s.portions[portion]
	required := p.item.levels[len(p.item.levels)-1].Offerings
	for o := range s.problem.Offerings {
		if !required.Has(o) || !p.item.class.Allowed.Has(o) || p.cell.Places.Has(o) {
			continue
		}
		stopped := false
		s.problem.Obstacles(left, s.problem.Demands[portion].Size, o, func(binpack.Reason, int) { stopped = true })
		if !stopped {
			return true
		}
	}
	return false
}
