package judge

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// verdict is what kube-scheduler's plugins say of one decision.
type verdict struct {
	decision plan.Decision
	refused  []string // placements that kube-scheduler does not accept
	missed   []miss   // pods held for a constraint that have a place
}

// spoil changes what was gathered before it is planned with: a planted bug.
type spoil func(*plan.View)

// judge gathers the world, plans, and asks kube-scheduler about every answer.
func judge(ctx context.Context, w *world, seed uint64, bug spoil) (verdict, error) {
	view, err := w.view(ctx)
	if err != nil {
		return verdict{}, fmt.Errorf("gathering: %w", err)
	}
	if bug != nil {
		bug(&view)
	}
	decision, err := plan.Grow(view, plan.Policy{Steps: 300})
	if err != nil {
		return verdict{}, fmt.Errorf("planning: %w", err)
	}
	v := verdict{decision: decision}
	random := rand.New(rand.NewPCG(seed, 0x0b))
	for turn := range 3 {
		if err := v.turn(ctx, w, turn, random); err != nil || len(v.refused) > 0 {
			return v, err
		}
	}
	return v, nil
}

// turn asks about the decision when its claims have turned out to be what the turn makes of them.
func (v *verdict) turn(ctx context.Context, w *world, turn int, random *rand.Rand) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	b, err := newBinding(ctx, w, v.decision, choose(turn, random))
	if err != nil {
		return err
	}
	if v.refused, err = b.run(ctx, random); err != nil || len(v.refused) > 0 || turn > 0 {
		return err
	}
	v.missed, err = b.missed(ctx, v.decision)
	return err
}

// choose says which of its choices a claim turns out to be: the first, the last, any.
func choose(turn int, random *rand.Rand) func(n int) int {
	return func(n int) int {
		switch turn {
		case 0:
			return 0
		case 1:
			return n - 1
		}
		return random.IntN(n)
	}
}
