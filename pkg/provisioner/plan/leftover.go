package plan

import (
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/topology"
)

// leftover is pods that were not put to the solver, or that it had no place for because of their neighbours.
type leftover struct {
	demand *demand.Demand
	pods   []demand.Pod
	item   *item // nil: they must be near others on their node, and could not be brought together with them
	why    topology.Left
	// short is what stopped the solver in an earlier round, Open if nothing did; and after too many rounds it was asked no more.
	short  binpack.Reason
	gaveUp bool
	// near is the selector of whom they must be near on their node, and full that such nodes have no room.
	near demand.SelectorKey
	full bool
}

// holdLeft holds what was not put to the solver: where a domain would take it, for what keeps it from being bought there; else for the rule.
func (s *search) holdLeft(all []leftover) {
	for i := range all {
		left := &all[i]
		switch open := s.open(left); {
		case left.item != nil && left.item.holding == "" && empty(left.item.selected()):
			s.holdOpen(left, open) // it is a matter of selection in the first place
		case empty(open):
			s.holdByRule(left)
		default:
			s.holdOpen(left, open)
		}
	}
}

// open answers the offers that the pods select, in domains that would take them.
func (s *search) open(left *leftover) binpack.Set {
	it := left.item
	switch {
	case it == nil || it.barred || it.holding != "":
		return binpack.NewSet(len(s.g.offers))
	case left.gaveUp:
		return within(it.selected(), it.class.Allowed)
	}
	set := binpack.NewSet(len(s.g.offers))
	for _, cell := range left.why.Full {
		for w := range set {
			set[w] |= cell.Places[w]
		}
	}
	return within(it.selected(), set)
}

// selected are the offers that all pods of the item select, whatever their neighbours say.
func (it *item) selected() binpack.Set { return it.levels[len(it.levels)-1].Offerings }

// holdOpen holds pods for what keeps the open offers from being bought. If nothing does any more, it did when they were dealt, and its room has
// become free since.
func (s *search) holdOpen(left *leftover, open binpack.Set) {
	d := binpack.Demand{Size: left.item.size, Levels: []binpack.Level{{Offerings: open}}}
	h := s.p.Hold(&s.left, &d)
	h.Count = len(left.pods)
	if free := h.Failed[binpack.Open]; free > 0 {
		h.Failed[binpack.Open] = 0
		h.Failed[left.short] += free // nothing is free that an earlier round has not had too little of
		s.holdLate(left, h.Failed, heldReason[left.short])
		return
	}
	s.hold(&stuck{demand: left.demand, item: left.item, size: d.Size, open: open, why: h, takes: left.why.Takes, blame: left.why.Blame, full: left.why.Full}, left.pods)
}

// holdLate holds pods that could have a place now.
func (s *search) holdLate(left *leftover, failed [binpack.NumReasons]int, reason v1alpha1.Reason) {
	h := s.g.held(left.demand, left.pods, reason)
	h.fail(failed)
	h.Message = because(left.short) + " when the others were dealt their places, which these pods depend on, and is not any more; the next decision tries " +
		"again. Ask for less in spec.affinity or spec.topologySpreadConstraints to have it sooner" + h.Counts()
	s.g.decision.Held = append(s.g.decision.Held, h)
}

// holdByRule holds pods that their neighbours, or what they ask of them, let go nowhere.
func (s *search) holdByRule(left *leftover) {
	h := s.g.held(left.demand, left.pods, v1alpha1.HeldConstraint)
	if len(s.g.offers) == 0 {
		h.Reason = v1alpha1.HeldNoProvisioner
	}
	failed := [binpack.NumReasons]int{binpack.ReasonConstraint: h.Offers}
	h.fail(failed)
	h.Misses = s.otherwise(left.demand, left.item, left.why.Takes, v1alpha1.HeldConstraint)
	h.Message = s.rule(left) + s.g.notReady() + h.Remedy("") + h.Counts()
	if len(s.g.offers) == 0 {
		h.Message = s.g.noProvisioner() + "; besides, " + s.rule(left)
	}
	s.g.decision.Held = append(s.g.decision.Held, h)
}

// rule names the rule that is in the way of pods everywhere.
func (s *search) rule(left *leftover) string {
	it := left.item
	switch {
	case it == nil:
		return lonely(left.near, left.full)
	case it.holding != "":
		return lonely(it.holding, true)
	case it.barred || left.why.Takes == nil:
		return s.g.barred(it)
	case len(left.why.Full) > 0:
		return "the nodes that its neighbours leave it have no room, and nothing can be launched beside them (" + cellNames(left.why.Full) + "); free some, or " +
			"change spec.affinity or spec.topologySpreadConstraints"
	case left.why.Blame.Rule == "":
		return "what it asks of other pods, or they of it, is not certain where the nodes are that it may use, which are on their way; it is looked at again " +
			"when they are there"
	}
	return s.g.blame(left.why.Blame, "")
}
