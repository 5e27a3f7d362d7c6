package main

import (
	"container/heap"
	"fmt"
)

// row is one way to play the trace.
type row struct {
	Types     string `json:"types"`
	WindowS   int64  `json:"windowSeconds"`
	IdleS     int64  `json:"idleSeconds"`
	Placement string `json:"placement"`
	Gangs     bool   `json:"gangs"`
	BootS     int64  `json:"bootSeconds"`
}

// assignment gives a pod that waits a node: one that is there or on its way, or one that is just being bought.
type assignment struct {
	pod  *pod
	node *node
}

// policy decides at the end of a batch window which nodes to buy (with cluster.buy) and which pods go where.
type policy interface {
	// saw is told of every arrival.
	saw(a arrival, now int64)
	decide(c *cluster, waiting []*pod) ([]assignment, error)
}

type eventKind int

const (
	departs eventKind = iota // before the rest of an instant, so that what leaves makes room
	joins
	idles
	arrives
	decides
)

type event struct {
	at    int64
	kind  eventKind
	order int
	node  *node
	size  size
	batch arrival
}

type agenda []event

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	if a[i].at != a[j].at {
		return a[i].at < a[j].at
	}
	if a[i].kind != a[j].kind {
		return a[i].kind < a[j].kind
	}
	return a[i].order < a[j].order
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(event)) }
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}

// outcome is what a policy did.
type outcome struct {
	Dollars  float64 `json:"dollars"`
	Nodes    int     `json:"nodes"`
	Batches  int     `json:"-"`
	PerBatch float64 `json:"-"` // pods that waited, per batch
	GPUHours float64 `json:"-"`
}

// player plays a trace.
type player struct {
	row
	cluster
	agenda  agenda
	order   int
	pods    int
	waiting []*pod
	policy  policy
	end     int64
	outcome outcome
}

// play answers what a policy paid for a trace of so many seconds.
func play(r row, arrivals []arrival, seconds int64, p policy) (outcome, error) {
	pl := &player{row: r, policy: p, end: seconds}
	for _, a := range arrivals {
		pl.plan(event{at: a.at, kind: arrives, batch: a})
	}
	for len(pl.agenda) > 0 {
		e := heap.Pop(&pl.agenda).(event)
		if e.at >= seconds {
			break
		}
		pl.now = e.at
		if err := pl.step(e); err != nil {
			return outcome{}, fmt.Errorf("at second %d: %w", e.at, err)
		}
	}
	pl.now = seconds
	pl.outcome.Dollars, pl.outcome.Nodes = pl.total(), pl.count
	if pl.outcome.Batches > 0 {
		pl.outcome.PerBatch /= float64(pl.outcome.Batches)
	}
	return pl.outcome, nil
}

func (pl *player) plan(e event) {
	e.order = pl.order
	pl.order++
	heap.Push(&pl.agenda, e)
}

func (pl *player) step(e event) error {
	switch e.kind {
	case arrives:
		pl.arrive(e.batch)
	case departs:
		e.node.release(e.size, pl.now)
		pl.watch(e.node)
	case joins:
		for _, p := range e.node.promised {
			pl.start(p, e.node)
		}
		e.node.promised = nil
	case idles:
		if e.node.pods == 0 && e.node.idle+pl.IdleS == pl.now {
			pl.remove(e.node)
		}
	case decides:
		return pl.decide()
	}
	return nil
}

func (pl *player) arrive(a arrival) {
	pl.policy.saw(a, pl.now)
	before := len(pl.waiting)
	for range a.pods {
		p := &pod{id: pl.pods, at: pl.now, lasts: a.lasts, size: a.size}
		pl.pods++
		if n := pl.place(p, schedulers[pl.Placement]); n != nil {
			n.take(p)
			pl.start(p, n)
			continue
		}
		pl.waiting = append(pl.waiting, p)
	}
	if before == 0 && len(pl.waiting) > 0 {
		pl.plan(event{at: pl.now + pl.WindowS, kind: decides})
	}
}

// start lets a pod run that has its place already.
func (pl *player) start(p *pod, n *node) {
	pl.outcome.GPUHours += float64(p.size[gpu]) / 1000 * float64(min(p.lasts, pl.end-pl.now)) / 3600
	pl.plan(event{at: pl.now + p.lasts, kind: departs, node: n, size: p.size})
}

func (pl *player) watch(n *node) {
	if n.pods == 0 {
		pl.plan(event{at: pl.now + pl.IdleS, kind: idles, node: n})
	}
}

// decide ends a batch window: what fits by now is bound, the rest is the policy's.
func (pl *player) decide() error {
	var rest []*pod
	for _, p := range pl.waiting {
		if n := pl.place(p, schedulers[pl.Placement]); n != nil {
			n.take(p)
			pl.start(p, n)
			continue
		}
		rest = append(rest, p)
	}
	pl.waiting = nil
	if len(rest) == 0 {
		return nil
	}
	pl.outcome.Batches++
	pl.outcome.PerBatch += float64(len(rest))
	nodes := pl.next
	given, err := pl.policy.decide(&pl.cluster, rest)
	if err != nil {
		return err
	}
	if len(given) != len(rest) {
		return fmt.Errorf("%d of %d pods were given a place", len(given), len(rest))
	}
	for _, g := range given {
		if !g.pod.size.fits(g.node.free) {
			return fmt.Errorf("pod of size %v was given a node with %v free", g.pod.size, g.node.free)
		}
		g.node.take(g.pod)
		if g.node.ready <= pl.now {
			pl.start(g.pod, g.node)
		} else {
			g.node.promised = append(g.node.promised, g.pod)
		}
	}
	for _, n := range pl.nodes {
		if n.id >= nodes && n.ready > pl.now {
			pl.plan(event{at: n.ready, kind: joins, node: n})
		}
	}
	return nil
}
