package plan

import (
	"maps"
	"slices"

	"github.com/slipway-sh/slipway/pkg/binpack"
)

// mostLevels bounds the levels of a demand. Of more sums of weights the highest are told apart, and all below them taken for one.
const mostLevels = 16

// levels computes which offers and bins each level of a demand accepts: those whose preferred terms weigh as much as the level's sum or more. The
// sums are those that offers and bins come to, so what kube-scheduler would score highest comes first. To keep off taints of effect
// PreferNoSchedule is given up after all of them, on the last level, which is what is required.
func (g *growth) levels(w *asked) []binpack.Level {
	offers := g.accepting(w)
	all := binpack.Level{Offerings: offers.required, Bins: binpack.NewSet(len(g.bins))}
	kept := binpack.Level{Offerings: offers.avoiding, Bins: binpack.NewSet(len(g.bins))}
	scores := map[int]int64{} // of the bins that are kept
	for i := range g.bins {
		b := &g.bins[i]
		if !b.accepts(w.sel.required) || b.neglected(g.view, w.pods) {
			continue
		}
		all.Bins.Add(i)
		if w.sel.avoiding == nil || b.accepts(w.sel.avoiding) {
			kept.Bins.Add(i)
			if w.sel.scorer != nil {
				scores[i] = b.score(w.sel.scorer)
			}
		}
	}
	var list []binpack.Level
	if w.sel.scorer != nil {
		for _, sum := range highest(offers.sums, scores) {
			list = append(list, binpack.Level{Offerings: offers.atLeast(sum), Bins: atLeast(scores, sum, len(g.bins))})
		}
	}
	for _, level := range []binpack.Level{kept, all} {
		same := func(have binpack.Level) bool {
			return slices.Equal(have.Offerings, level.Offerings) && slices.Equal(have.Bins, level.Bins)
		}
		// The last level is what is required: it must stay last, so an equal earlier one gives way.
		list = append(slices.DeleteFunc(list, same), level)
	}
	return list
}

// highest answers the sums that make a level, highest first.
func highest(offers []int64, bins map[int]int64) []int64 {
	sums := slices.AppendSeq(slices.Clone(offers), maps.Values(bins))
	slices.Sort(sums)
	sums = slices.Compact(sums)
	slices.Reverse(sums)
	return sums[:min(len(sums), mostLevels-2)]
}

func atLeast(scores map[int]int64, sum int64, n int) binpack.Set {
	set := binpack.NewSet(n)
	for i, score := range scores {
		if score >= sum {
			set.Add(i)
		}
	}
	return set
}

// accepted are the offers that a selection accepts.
type accepted struct {
	required, avoiding binpack.Set
	// Of those in avoiding, if anything is preferred: the scores, each of them once, and who has such a one or more.
	scores  map[int]int64
	sums    []int64
	reaches map[int64]binpack.Set
}

func (a *accepted) atLeast(sum int64) binpack.Set {
	set, known := a.reaches[sum]
	if !known {
		set = atLeast(a.scores, sum, 64*len(a.required))
		a.reaches[sum] = set
	}
	return set
}

// accepting answers the offers that a demand accepts. Demands with equal selections share the sets, which nobody may change. O(offers x terms).
func (g *growth) accepting(w *asked) *accepted {
	if known, ok := g.accepted[w.sel]; ok {
		return known
	}
	a := &accepted{required: binpack.NewSet(len(g.offers)), avoiding: binpack.NewSet(len(g.offers)), scores: map[int]int64{}, reaches: map[int64]binpack.Set{}}
	for i := range g.offers {
		o := &g.offers[i]
		if !o.pool.suits(w.demand.Select.NodeSelector) || !w.sel.required.Matches(o.labels, o.pool.taints) {
			continue
		}
		a.required.Add(i)
		if w.sel.avoiding != nil && !w.sel.avoiding.Tolerates(o.pool.taints) {
			continue
		}
		a.avoiding.Add(i)
		if w.sel.scorer != nil {
			a.scores[i] = w.sel.scorer.Score("", o.labels)
		}
	}
	a.sums = slices.Compact(slices.Sorted(maps.Values(a.scores)))
	g.accepted[w.sel] = a
	return a
}
