package nominate

import (
	"context"
	"sync"
	"time"
)

const (
	// roundLasts is how long a round takes in nodes, from its first on: what a lone node waits for company.
	roundLasts = 50 * time.Millisecond
	// calm is how long no pod was judged when a scheduler is through with those that wait. It is asked for during calmMost at most, from
	// the last round on: pods may come all the time.
	calm, calmMost = 200 * time.Millisecond, 3 * time.Second
	// roundBusy is when to ask again for a place in a round while one is under way, or pods are being judged.
	roundBusy = 100 * time.Millisecond
)

// rounds have nodes open together.
//
// An opening node wakes every pod that waits, and an attempt that fails drops the pod's nomination. Would the nodes of a burst open one
// by one, the attempts that each sets off would drop what has just been written for the next, and pods would take each other's places.
// So nodes that are ready within roundLasts are one round: the pods of all are nominated, then all open. The next round waits until
// the scheduler has gone through the pods: no attempt is under way when the next nominations are written. A node that is ready alone
// opens at once.
//
//	nodes ready:   a b        c   d e                f
//	rounds:       [a b] judging   [c d e] judging   [f]
type rounds struct {
	now func() time.Time

	mu      sync.Mutex
	current *round    // nil: none is under way
	last    time.Time // the end of the last round
	judged  time.Time // when a pod was last found unschedulable
}

type round struct {
	closes           time.Time // for nodes that want in
	members, arrived int
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
	switch {
	case r.current != nil && now.Before(r.current.closes):
	case r.current != nil:
		return nil, roundBusy
	case now.Sub(r.last) < calm, now.Sub(r.judged) < calm && now.Sub(r.last) < calmMost:
		return nil, roundBusy
	default:
		r.current = &round{closes: now.Add(roundLasts), over: make(chan struct{})}
	}
	r.current.members++
	return r.current, 0
}

// arrive waits until the nominations of every node of the round are written, or ctx ends. Each node that has joined must arrive.
func (r *rounds) arrive(ctx context.Context, own *round) {
	rest(ctx, own.closes.Sub(r.now()))
	r.mu.Lock()
	own.arrived++
	if own.arrived == own.members {
		close(own.over)
		r.current, r.last = nil, r.now()
	}
	r.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-own.over:
	}
}
