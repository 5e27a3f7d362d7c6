package plan

import (
	"cmp"
	"maps"
	"slices"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/topology"
)

// softRule is a preference of an asked demand about its neighbours: at counts its preferred terms and then its spreads, of which soft ones are wishes.
type softRule struct{ asked, at int }

// How often pods are packed anew to find out which wishes cost nothing. Many pods take long to pack, and one more answer says less of each.
const (
	mostTries       = 12
	manyPods        = 200
	mostTriesOfMany = 3
)

// wishes lists all of them: those of pods of higher priority first, of a demand the heaviest first.
func (g *growth) wishes() []softRule {
	var list []softRule
	for i := range g.asked {
		n := &g.asked[i].demand.Neighbours
		for at := range n.Preferred {
			list = append(list, softRule{i, at})
		}
		for at := range n.Spread {
			if n.Spread[at].Soft {
				list = append(list, softRule{i, len(n.Preferred) + at})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b softRule) int {
		return cmp.Compare(g.asked[b.asked].demand.Priority, g.asked[a.asked].demand.Priority)
	})
	return list
}

// granted says what an asked demand asks of its neighbours when only these of all wishes are asked for.
func (g *growth) granted(i int, wishes map[softRule]bool) topology.Class {
	c := g.class(g.asked[i].demand)
	preferred, spread := c.Preferred, c.Spread
	c.Preferred, c.Spread = nil, nil
	for at, p := range preferred {
		if wishes[softRule{i, at}] {
			c.Preferred = append(c.Preferred, p)
		}
	}
	for at, s := range spread {
		if !s.Soft || wishes[softRule{i, len(preferred) + at}] {
			c.Spread = append(c.Spread, s)
		}
	}
	return c
}

// pleasing is an answer with as many wishes come true as cost nothing: none makes it dearer, and none leaves a pod of any demand without a place.
type pleasing struct {
	*packing
	best    answer
	granted map[softRule]bool
	tries   int
}

func (p *packing) pleasing(plain answer) (answer, error) {
	wishes, pods := p.wishes(), 0
	if len(wishes) == 0 {
		return plain, nil
	}
	for i := range p.asked {
		pods += len(p.asked[i].pods)
	}
	all := &pleasing{packing: p, best: plain, granted: map[softRule]bool{}, tries: mostTries}
	if pods > manyPods {
		all.tries = mostTriesOfMany
	}
	err := all.grant(wishes)
	return all.best, err
}

// grant asks for wishes besides those that are granted: for all of the list or, if they cost something together, for one half and then the other.
func (p *pleasing) grant(list []softRule) error {
	if p.tries == 0 {
		return nil
	}
	p.tries--
	with := maps.Clone(p.granted)
	for _, w := range list {
		with[w] = true
	}
	items, lonely := p.items(&p.base, p.absent, with)
	a, err := p.rounds(items, lonely)
	if err != nil {
		return err
	}
	if a.solved.CostMicroUSDPerHour <= p.best.solved.CostMicroUSDPerHour && a.noWorse(&p.best) {
		p.best, p.granted = a, with
		return nil
	}
	if len(list) == 1 {
		return nil
	}
	half := (len(list) + 1) / 2
	if err := p.grant(list[:half]); err != nil {
		return err
	}
	return p.grant(list[half:])
}

// noWorse tells whether an answer serves as many pods of each demand as another.
func (a *answer) noWorse(than *answer) bool {
	served := a.served()
	for d, n := range than.served() {
		if served[d] < n {
			return false
		}
	}
	return true
}

// favouring puts before each level those with the bins only that hold fewer of the pods which an item would rather keep off.
func (g *growth) favouring(levels []binpack.Level, preferred []demand.Preference) []binpack.Level {
	if len(preferred) == 0 {
		return levels
	}
	sums := map[int]binpack.Set{} // the bins that are disliked so much
	for b := range g.bins {
		sum := 0
		for _, w := range preferred {
			if w.Weight < 0 && w.TopologyKey == topology.Hostname && g.places.list[g.binAt(b)].Chosen[w.Selector] > 0 {
				sum -= int(w.Weight)
			}
		}
		if sums[sum] == nil {
			sums[sum] = binpack.NewSet(len(g.bins))
		}
		sums[sum].Add(b)
	}
	if len(sums) < 2 {
		return levels
	}
	var list []binpack.Level
	for _, level := range levels {
		bins := binpack.NewSet(len(g.bins))
		for _, sum := range slices.Sorted(maps.Keys(sums)) {
			bins = slices.Clone(bins)
			for b := range sums[sum].All() {
				if level.Bins.Has(b) {
					bins.Add(b)
				}
			}
			list = append(list, binpack.Level{Offerings: level.Offerings, Bins: bins})
		}
	}
	return list
}
