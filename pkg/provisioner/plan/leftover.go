package plan

import (
	"slices"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/binpack"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
)

// leftover is pods that were not put to the solver.
type leftover struct {
	demand *demand.Demand
	pods   []demand.Pod
	// because of the rules about neighbours; or what the solver said in an earlier round
	message string
	short   *shortage
}

// shortage is what the solver said of items that it could not place.
type shortage struct {
	held   binpack.Held
	demand binpack.Demand
}

// holdLeft holds what was not put to the solver.
func (s *search) holdLeft(all []leftover) {
	for _, left := range all {
		if left.short == nil {
			s.g.hold(left.demand, left.pods, v1alpha1.HeldConstraint, left.message)
			continue
		}
		if s.stale(left.short) {
			s.g.hold(left.demand, left.pods, v1alpha1.HeldConstraint, "what it asks of other pods, and they of it, left no place that could be had when "+
				"the others were dealt theirs; the next decision tries again. Ask for less in spec.affinity or spec.topologySpreadConstraints to have it sooner")
			continue
		}
		h := left.short.held
		h.Demand, h.Count = len(s.p.Demands), len(left.pods)
		s.p.Demands = append(slices.Clip(s.p.Demands), left.short.demand)
		s.holdSolved(left.demand, left.pods, h)
	}
}

// stale tells whether the limit that was in the way in an earlier round is not any more in the plan that was taken in the end.
func (s *search) stale(short *shortage) bool {
	h := &short.held
	if h.Reason != binpack.ReasonLimit || h.Nearest < 0 {
		return false
	}
	limited := false
	s.p.Obstacles(&s.left, short.demand.Size, h.Nearest, func(r binpack.Reason, _ int) { limited = limited || r == binpack.ReasonLimit })
	return !limited
}
