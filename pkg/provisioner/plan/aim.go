package plan

import (
	"cmp"

	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/topology"
)

// Up to so many pods, in so many kinds of items, are dealt anew so many times to look for a cheaper deal. A deal gives what stands to whom it comes
// to first, and does not know who shares a node later; among many pods that is lost in the sum, among few it may double the price.
const (
	mostPodsAimed  = 48
	mostItemsAimed = 8
	mostAims       = 16
)

// aiming is an answer made cheaper, if it can be, by dealing the items of one kind after the other to another domain first.
func (p *packing) aiming(best answer) (answer, error) {
	items, lonely := p.items(&p.base, p.absent, nil)
	if !p.neighbourly || len(items) > mostItemsAimed || len(best.solved.Nodes) == 0 {
		return best, nil
	}
	pods := 0
	for i := range p.asked {
		pods += len(p.asked[i].pods)
	}
	if pods > mostPodsAimed {
		return best, nil
	}
	// All tries together may take as long as one packing does.
	policy := p.policy
	p.policy.Steps = max(1, cmp.Or(policy.Steps, binpack.DefaultSteps)/mostAims)
	defer func() { p.policy = policy }()
	p.places.world.Open(binpack.NewSet(len(p.offers)))
	least, tries := p.bound(&best, p.base, p.policy), mostAims
	for i, cells := range topology.Cells(p.places.world, p.unlearnt(items), true) {
		name := items[i].name
		for _, cell := range cells {
			if tries == 0 || len(cells) == 1 || best.unserved() == 0 && best.solved.CostMicroUSDPerHour <= least {
				break
			}
			tries--
			before, few := p.aims[name], p.few
			p.aims[name], p.few = cell, true // a spread stays one, though nobody is anywhere yet
			other, err := p.rounds(items, lonely)
			if err != nil {
				return answer{}, err
			}
			if other.better(&best) {
				best = other
			} else {
				p.aims[name], p.few = before, few
			}
		}
	}
	return best, nil
}

// unlearnt answers the classes of items with the places where they may go, and without what was learnt from one way of dealing: it is not about another.
func (p *packing) unlearnt(items []item) []topology.Class {
	for i := range items {
		p.confine(&items[i], &p.base, &lessons{})
	}
	return classesOf(items)
}

// better tells whether an answer serves as many pods of each demand as another, and more in all, or for less.
func (a *answer) better(than *answer) bool {
	more := than.unserved() - a.unserved()
	return a.noWorse(than) && (more > 0 || more == 0 && a.solved.CostMicroUSDPerHour < than.solved.CostMicroUSDPerHour)
}
