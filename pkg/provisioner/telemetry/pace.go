package telemetry

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
)

const (
	// paceEvery is the time between two events: 50 a second. A burst of a hundred pods has four hundred things told about it, and each is a
	// write that would compete with the launches that it tells of.
	paceEvery = 20 * time.Millisecond
	// paceQueue bounds what waits to be told. Beyond it the newest is left unsaid: events are for people, and conditions tell the same.
	paceQueue = 10_000
)

// Pacer passes events and whatever else is told on one after the other, so that telling never delays doing. It is a Sink, and a
// manager.Runnable of every replica.
type Pacer struct {
	next  Sink
	queue chan func(context.Context)
}

// NewPacer makes a Pacer in front of a sink. It passes nothing on until it is started.
func NewPacer(next Sink) *Pacer {
	return &Pacer{next: next, queue: make(chan func(context.Context), paceQueue)}
}

// Eventf queues an event. It never blocks.
func (p *Pacer) Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any) {
	p.Do(func(context.Context) { p.next.Eventf(regarding, related, eventtype, reason, action, note, args...) })
}

// Do queues one write to the API server. It never blocks; false: the queue is full, and it is left undone.
func (p *Pacer) Do(tell func(context.Context)) bool {
	select {
	case p.queue <- tell:
		return true
	default:
		return false
	}
}

// NeedLeaderElection is false: what a replica has to tell, it tells.
func (p *Pacer) NeedLeaderElection() bool { return false }

// Start passes events on until ctx ends. What is queued then is left unsaid.
func (p *Pacer) Start(ctx context.Context) error {
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		select {
		case <-ctx.Done():
			return nil
		case tell := <-p.queue:
			tell(ctx)
		}
	}
}
