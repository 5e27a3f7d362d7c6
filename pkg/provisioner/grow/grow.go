// Package grow is the loop that launches nodes for waiting pods: wait for arrivals to settle, look, decide (plan.Grow), act.
//
// It decides nothing itself but when to look. It may import pkg/provisioner/{inventory,plan,act,telemetry,demand}.
package grow

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/inventory"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// Windows are how long arrivals are collected before a decision.
type Windows struct {
	Idle time.Duration // decide once nothing has arrived for so long
	Most time.Duration // decide at the latest so long after the first arrival
	Tick time.Duration // look again even if nothing arrived
}

// DefaultWindows: kube-scheduler judges the pods of one burst within milliseconds of each other, so 50 ms of silence end it. A decision
// costs some ten milliseconds and those that come later fill what is on its way, so a stream of arrivals need not wait for its end.
func DefaultWindows() Windows {
	return Windows{Idle: 50 * time.Millisecond, Most: 150 * time.Millisecond, Tick: 10 * time.Second}
}

// View answers the present picture.
type View interface {
	View(ctx context.Context) (plan.View, error)
}

// Creator creates claims, and settles what is in doubt of those of earlier calls.
type Creator interface {
	Create(ctx context.Context, claims []v1alpha1.NodeClaim) error
}

// Observer is told what was decided.
type Observer interface {
	// Decided is told of each decision before it is carried out.
	Decided(v plan.View, d plan.Decision)
	// Planned is told of each decision, how long it took, and the pods that it placed for the first time.
	Planned(v plan.View, d plan.Decision, took time.Duration)
	// HeldPod is told of each held pod of a decision.
	HeldPod(pod demand.Pod, h plan.Held)
}

// Recorder keeps what decisions were made from. It must not block, and nobody changes what it is given.
type Recorder interface {
	// Keep is told of each decision, or of the fault in its place.
	Keep(v plan.View, policy plan.Policy, d plan.Decision, fault error)
}

// Loop is the grow loop, a manager.Runnable of the leader. There is only ever one, so limits need no lock.
type Loop struct {
	windows Windows
	view    View
	creator Creator
	observe Observer
	log     logr.Logger
	policy  plan.Policy
	record  Recorder // nil: nobody keeps them

	wake  chan struct{}
	mu    sync.Mutex
	first time.Time        // of the arrivals that no picture shows yet; zero: there are none
	held  map[string]int32 // by Provisioner
}

// New answers a loop with the default policy.
func New(windows Windows, view View, creator Creator, observe Observer, log logr.Logger) *Loop {
	return &Loop{windows: windows, view: view, creator: creator, observe: observe, log: log,
		wake: make(chan struct{}, 1), held: map[string]int32{}}
}

// Record lets r keep every decision. It must be called before Start.
func (l *Loop) Record(r Recorder) { l.record = r }

// Decide sets how decisions are made. It must be called before Start.
func (l *Loop) Decide(policy plan.Policy) { l.policy = policy }

// Wake says that something changed that may ask for a decision. It never blocks.
func (l *Loop) Wake() {
	l.mu.Lock()
	if l.first.IsZero() {
		l.first = time.Now()
	}
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Held answers how many pods are held that a Provisioner came nearest to serve.
func (l *Loop) Held(provisioner string) int32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held[provisioner]
}

// NeedLeaderElection is true: two loops could each stay within a limit and together exceed it.
func (l *Loop) NeedLeaderElection() bool { return true }

// Start runs until ctx ends.
func (l *Loop) Start(ctx context.Context) error {
	for l.settle(ctx) {
		if err := l.Once(ctx); err != nil && !errors.Is(err, inventory.ErrNotLoaded) && ctx.Err() == nil {
			l.log.Error(err, "Growing; the next look tries again")
		}
	}
	return nil
}

// arrived answers how long ago the first arrival came that no picture shows yet; 0 if all are shown.
func (l *Loop) arrived() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first.IsZero() {
		return 0
	}
	return time.Since(l.first)
}

// look forgets the arrivals: the picture that is taken next shows them.
func (l *Loop) look() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.first = time.Time{}
}

// settle waits for an arrival, or the tick, and then until arrivals pause. It answers false when ctx has ended. What arrived while the last
// decision was made and carried out has waited since then: its time counts from its arrival, not from now.
func (l *Loop) settle(ctx context.Context) bool {
	defer l.look()
	tick := time.NewTimer(l.windows.Tick)
	defer tick.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-tick.C:
		return true
	case <-l.wake:
	}
	most := time.NewTimer(l.windows.Most - l.arrived())
	defer most.Stop()
	idle := time.NewTimer(l.windows.Idle)
	defer idle.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-most.C:
			return true
		case <-idle.C:
			return true
		case <-l.wake:
			idle.Reset(l.windows.Idle)
		}
	}
}

// Once looks, decides and acts.
func (l *Loop) Once(ctx context.Context) error {
	v, err := l.view.View(ctx)
	if err != nil {
		return err
	}
	if len(v.Demands) == 0 && !l.holding() {
		return l.creator.Create(ctx, nil) // of an earlier decision some may be in doubt
	}
	start := time.Now()
	d, err := plan.Grow(v, l.policy)
	took := time.Since(start)
	if l.record != nil {
		l.record.Keep(v, l.policy, d, err)
	}
	if err != nil {
		return err
	}
	if len(d.Create) > 0 {
		l.log.Info("Creating claims", "claims", len(d.Create), "demands", len(v.Demands), "placed", len(d.Placed), "held", len(d.Held),
			"dollarsPerHour", float64(d.CostMicroUSDPerHour)/1e6, "seconds", took.Seconds())
	}
	l.observe.Decided(v, d)
	err = l.creator.Create(ctx, d.Create)
	l.observe.Planned(v, d, took)
	for _, h := range d.Held {
		for _, pod := range h.Pods {
			l.observe.HeldPod(pod, h)
		}
	}
	l.remember(d)
	return err
}

// holding tells whether the last decision held any pod: then the next one is told of even if nothing waits any more.
func (l *Loop) holding() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held) > 0
}

func (l *Loop) remember(d plan.Decision) {
	held := map[string]int32{}
	for _, h := range d.Held {
		held[h.Provisioner] += int32(len(h.Pods))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.held)
	maps.Copy(l.held, held)
}
