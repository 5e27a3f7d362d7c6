package nominate

import (
	"context"
	"sync"
	"time"

	"github.com/slipway-sh/slipway/pkg/provisioner/act"
)

const (
	// roundLasts is how long a round takes in nodes, from its first on: what a lone node waits for company.
	roundLasts = 50 * time.Millisecond
	// calm is how long no pod was judged when a scheduler is through with those that wait. It is asked for during calmMost at most, from
	// the last round on: pods may come all the time.
	calm, calmMost = 200 * time.Millisecond, 3 * time.Second
	// still is how long no pod was judged when the nodes of a round open; it is asked for during stillMost at most.
	still, stillMost = 30 * time.Millisecond, time.Second
	// roundBusy is when to ask again for a place in a round while one is under way, or pods are being judged.
	roundBusy = 100 * time.Millisecond
)

// rounds have nodes open together.
//
// An opening node wakes every pod that waits, and an attempt that fails drops the pod's nomination. Would the nodes of a burst open one
// by one, the attempts that each sets off would drop what has just been written for the next, and pods would take each other's places.
// So nodes that are ready within roundLasts are one round: the pods of all are nominated, then all open, in the same instant, in which all
// nominations stand and the scheduler is still: nodes that only begin to show their GPUs wake pods, too. The next round waits until the
// scheduler has gone through the pods: no attempt is under way when the next nominations are written. A node that is ready alone opens at
// once.
//
//	nodes ready:   a b        c   d e                f
//	rounds:       [a b] judging   [c d e] judging   [f]
type rounds struct {
	now func() time.Time

	mu      sync.Mutex
	current *round        // nil: none is under way
	last    time.Time     // the end of the last round
	lag     time.Duration // how late news came in it
	judged  time.Time     // when a pod was last found unschedulable
}

type round struct {
	closes           time.Time // for nodes that want in
	members, arrived int
	list             []act.Nomination // of all that have arrived
	lag              time.Duration    // the longest of theirs
	over             chan struct{}
}

// note: a pod was found unschedulable just now.
func (r *rounds) note() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.judged = r.now()
}

// join answers the round that a node is in, or nil and in what time to ask again.
func (r *rounds) join() (*round, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	quiet := max(calm, 2*r.lag) // an attempt that failed is heard of as late as that
	switch {
	case r.current != nil && now.Before(r.current.closes):
	case r.current != nil:
		return nil, roundBusy
	case now.Sub(r.last) < quiet, now.Sub(r.judged) < quiet && now.Sub(r.last) < calmMost:
		return nil, roundBusy
	default:
		r.current = &round{closes: now.Add(roundLasts), over: make(chan struct{})}
	}
	r.current.members++
	return r.current, 0
}

// arrive waits until every node of the round has arrived and the last of them has seen the scheduler still; or until ctx ends. Each node that
// has joined must arrive. lag is how late news came to it; shown waits until nominations stand.
func (r *rounds) arrive(ctx context.Context, own *round, list []act.Nomination, lag time.Duration, shown func([]act.Nomination)) {
	rest(ctx, own.closes.Sub(r.now()))
	r.mu.Lock()
	own.arrived++
	own.list, own.lag = append(own.list, list...), max(own.lag, lag)
	last := own.arrived == own.members
	r.mu.Unlock()
	if last {
		r.settle(ctx, own, shown)
		r.mu.Lock()
		r.current, r.last, r.lag = nil, r.now(), own.lag
		r.mu.Unlock()
		close(own.over)
	}
	select {
	case <-ctx.Done():
	case <-own.over:
	}
}

// settle waits until all nominations of a round stand and no attempt can be under way that would drop one of them.
func (r *rounds) settle(ctx context.Context, own *round, shown func([]act.Nomination)) {
	if len(own.list) == 0 {
		return
	}
	need := max(still, own.lag) // of an attempt that failed is heard as late as that
	for end := r.now().Add(stillMost); ctx.Err() == nil; {
		shown(own.list)
		r.mu.Lock()
		quiet := r.now().Sub(r.judged)
		r.mu.Unlock()
		if quiet >= need || !r.now().Before(end) {
			return
		}
		rest(ctx, need-quiet)
	}
}
