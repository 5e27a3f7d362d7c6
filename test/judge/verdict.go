package judge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// verdict is what kube-scheduler's plugins say of one decision.
type verdict struct {
	decision plan.Decision
	refused  []string // placements that kube-scheduler does not accept, or claims that should not have been made
	missed   []miss   // pods held for a constraint, or for want of something, that have a place
	orders   []int    // by turn: how many orders were tried until all was accepted
}

// bug is planted to see whether kube-scheduler notices. The zero value is none.
type bug struct {
	misread func(client.Object) // changes a copy of an object before it is gathered: a field that is not looked at
	spoil   func(*plan.View)    // changes what was gathered before it is planned with
}

// view is what is gathered of a world with the bug.
func (b *bug) view(ctx context.Context, w *world) (plan.View, error) {
	if b.misread != nil {
		copies := make([]client.Object, len(w.objects))
		for i, o := range w.objects {
			copies[i] = o.DeepCopyObject().(client.Object)
			b.misread(copies[i])
		}
		w = w.with(copies)
	}
	view, err := w.view(ctx)
	if err == nil && b.spoil != nil {
		b.spoil(&view)
	}
	return view, err
}

// judge gathers the world, plans, and asks kube-scheduler about every answer.
func judge(ctx context.Context, w *world, seed uint64, b bug) (verdict, error) {
	view, err := b.view(ctx, w)
	if err != nil {
		return verdict{}, fmt.Errorf("gathering: %w", err)
	}
	decision, err := plan.Grow(view, plan.Policy{Steps: 300})
	if err != nil {
		return verdict{}, fmt.Errorf("planning: %w", err)
	}
	v := verdict{decision: decision}
	left := newLedger(w)
	if v.refused = left.buy(decision); len(v.refused) > 0 {
		return v, nil
	}
	random := rand.New(rand.NewPCG(seed, 0x0b))
	for turn := range 3 {
		if err := v.turn(ctx, w, turn, left, random); err != nil || len(v.refused) > 0 {
			return v, err
		}
	}
	return v, nil
}

// turn asks about the decision when its claims have turned out to be what the turn makes of them.
func (v *verdict) turn(ctx context.Context, w *world, turn int, left *ledger, random *rand.Rand) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	b, err := newBinding(ctx, w, v.decision, choose(turn, random))
	if err != nil {
		return err
	}
	refused, tried, err := b.run(ctx, random)
	v.refused, v.orders = refused, append(v.orders, tried)
	if err != nil || len(refused) > 0 {
		return err
	}
	var catalogue []machine
	if turn == 0 { // what the claims turn out to be makes a difference to the nodes that there are; to what is bought besides only by neighbours
		catalogue = w.catalogue()
	}
	missed, err := b.missed(ctx, v.decision, catalogue, left)
	for _, m := range missed {
		if !slices.ContainsFunc(v.missed, func(known miss) bool { return known.pod == m.pod }) {
			v.missed = append(v.missed, m)
		}
	}
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
