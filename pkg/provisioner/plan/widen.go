package plan

import (
	"cmp"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

const (
	// maxExcluded bounds the offerings beyond the Provisioners' requirements that are looked at for a remedy, highest weight first.
	maxExcluded = 4096
	// maxAllowed bounds the requirements that one remedy changes: who has to change more of them wants another Provisioner.
	maxAllowed = 2
)

// excluded are the offerings that no more than maxAllowed requirements keep a Provisioner from buying, as if they were on offer, and what would
// have to be allowed for each.
type excluded struct {
	search *search
	allow  [][]Change // by offer
}

// beyondRequirements lists them, once for all held demands. O(pools x offerings).
func (s *search) beyondRequirements() *excluded {
	if s.excluded != nil {
		return s.excluded
	}
	wide := *s.g
	wide.offers = nil
	e := &excluded{}
	for _, o := range s.g.candidates() {
		if allow := o.pool.allowing(o.labels); len(allow) > 0 && len(allow) <= maxAllowed {
			wide.offers, e.allow = append(wide.offers, o), append(e.allow, allow)
		}
	}
	problem := &binpack.Problem{Limits: s.p.Limits, Resources: s.p.Resources[:len(s.g.names)]}
	wide.addOffers(problem, s.g.names)
	e.search = &search{g: &wide, p: problem, left: binpack.Remains{Room: s.left.Room}}
	for i := range wide.offers {
		stock := problem.Offerings[i].Stock
		if stock > 0 {
			stock = max(0, stock-s.sold[wide.offers[i].source])
		}
		e.search.left.Stock = append(e.search.left.Stock, stock)
	}
	s.excluded = e
	return e
}

// candidates lists what the pools could buy, had they no requirements about the machine and its place.
func (g *growth) candidates() []offer {
	var all []offer
	for i := range g.pools {
		open := g.pools[i]
		open.requirements = nil
		for _, o := range offers(g.view, []pool{open}) {
			if len(all) == maxExcluded {
				return all
			}
			o.pool = &g.pools[i]
			all = append(all, o)
		}
	}
	return all
}

// allowing answers what a pool's requirements would have to allow for a node with these labels, one change for each key; nil if a requirement
// on a custom key is in the way: such a key follows from the Provisioner, not from what is bought.
func (p *pool) allowing(labels map[string]string) []Change {
	values := map[string]string{}
	for _, r := range p.requirements {
		if !p.refuses(r, labels) {
			continue
		}
		value, has := labels[r.Key]
		if !has || !WellKnown(r.Key) {
			return nil
		}
		values[r.Key] = value
	}
	var changes []Change
	for _, key := range slices.Sorted(maps.Keys(values)) {
		changes = append(changes, Change{Kind: Allow, Provisioner: p.provisioner.Object.Name,
			Requirement: &corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{values[key]}}})
	}
	return changes
}

// allowed answers the offering that a demand would get if a Provisioner's requirements allowed it, of those where its neighbours let it go: the
// fewest changes, then weight, price and name. Only a pod that asks for nothing that is larger, and only what could be bought at once, unless nothing that is on offer is accepted or
// large enough. O(excluded).
func (s *search) allowed(d *demand.Demand, size binpack.Vector, lets func(*offer) bool, anything bool) (Miss, bool) {
	e := s.beyondRequirements()
	wanted := d.Select.Matcher()
	best, least := -1, 0
	before := func(a, b int) bool {
		x, y := &e.search.p.Offerings[a], &e.search.p.Offerings[b]
		return cmp.Or(cmp.Compare(x.Tier, y.Tier), cmp.Compare(x.PriceMicroUSDPerHour, y.PriceMicroUSDPerHour), cmp.Compare(x.Name, y.Name)) < 0
	}
	for i := range e.search.g.offers {
		o := &e.search.g.offers[i]
		changes := len(e.allow[i]) + e.search.standing(size, i, anything)
		if changes > unreachable || best >= 0 && (changes > least || changes == least && !before(i, best)) ||
			!asksFor(d, e.allow[i]) || !o.pool.suits(d.Select.NodeSelector) || !wanted.Matches(o.labels, o.pool.taints) || !lets(o) {
			continue
		}
		best, least = i, changes
	}
	if best < 0 {
		return Miss{}, false
	}
	m := Miss{Provisioner: e.search.g.offers[best].pool.provisioner.Object.Name, Offering: e.search.g.offers[best].source.OfferingKey,
		PriceMicroUSDPerHour: e.search.g.offers[best].source.PriceMicroUSDPerHour, Changes: slices.Clone(e.allow[best])}
	e.search.p.Obstacles(&e.search.left, size, best, func(r binpack.Reason, index int) {
		m.Changes = append(m.Changes, e.search.change(&e.search.g.offers[best], best, size, r, index))
	})
	return m, true
}

// unreachable is more changes than anybody makes.
const unreachable = 8

// standing counts what else is in the way of an offer that a Provisioner would allow: nothing may be, unless anything will do; then all but
// that it is too small.
func (s *search) standing(size binpack.Vector, i int, anything bool) int {
	n := 0
	s.p.Obstacles(&s.left, size, i, func(r binpack.Reason, _ int) {
		if n++; r == binpack.ReasonNoShape || !anything {
			n += unreachable
		}
	})
	return n
}

// asksFor tells whether changes that are no mere matter of money are what the pod asks for: an image runs on one architecture only.
func asksFor(d *demand.Demand, changes []Change) bool {
	return !slices.ContainsFunc(changes, func(c Change) bool {
		_, asked := d.Select.NodeSelector[corev1.LabelArchStable]
		return c.Requirement.Key == corev1.LabelArchStable && !asked
	})
}

// widens tells for which reasons a wider Provisioner would help: a limit stays in the way of whatever it allows, and so does EC2 when it does
// not answer.
func widens(r v1alpha1.Reason) (helps, anything bool) {
	switch r {
	case v1alpha1.HeldConstraint, v1alpha1.HeldNoShape:
		return true, true
	case v1alpha1.HeldStockout, v1alpha1.HeldQuota:
		return true, false
	}
	return false, false
}
