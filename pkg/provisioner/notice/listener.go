package notice

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

const (
	// DefaultConcurrency: 200 notices of three writes each take 30 rounds, which leaves a write 160 ms of the 5 s until the
	// last node must be fenced.
	DefaultConcurrency = 20
	// firstBackoff and lastBackoff are the pauses after failures to receive, doubled each time.
	firstBackoff = time.Second
	lastBackoff  = 30 * time.Second
	// emptyPause keeps a source that answers nothing at once, rather than after its long poll, from being asked in a tight loop.
	emptyPause = 200 * time.Millisecond
	// handleTimeout bounds the handling of one notice; it then comes again.
	handleTimeout = 30 * time.Second
)

// Health is told of an offering that is taken back. It must not block.
type Health interface {
	Interrupted(offering cloud.OfferingKey, now time.Time)
}

// Waker is whoever launches nodes: something changed that may ask for a launch. It must not block.
type Waker interface{ Wake() }

// Machines is the cloud, which knows why a machine ends; cloud.Fleet satisfies it.
type Machines interface {
	Instance(ctx context.Context, instanceID string) (cloud.Instance, error)
}

// Config is what a Listener needs. Machines and Events may be nil; a zero Concurrency means DefaultConcurrency.
type Config struct {
	Source cloud.NoticeSource
	// Client reads NodeClaims, Nodes and Pods from the manager's cache, and writes.
	Client client.Client
	// Live reads from the API server: claims that the cache does not show yet, and what to try again on after a conflict.
	Live     client.Reader
	Machines Machines
	Health   Health
	Grow     Waker
	Metrics  *telemetry.Metrics
	Events   *telemetry.Events
	// Concurrency is how many notices are handled at once.
	Concurrency int
	Now         func() time.Time
}

// Validate answers everything that is missing.
func (c Config) Validate() error {
	if c.Source == nil || c.Client == nil || c.Live == nil || c.Health == nil || c.Grow == nil || c.Metrics == nil || c.Now == nil {
		return errors.New("notice.Config: Source, Client, Live, Health, Grow, Metrics and Now are all required")
	}
	if c.Concurrency < 0 {
		return errors.New("notice.Config: Concurrency must not be negative")
	}
	return nil
}

// Listener receives notices and handles them. It is a manager.Runnable of the leader.
type Listener struct {
	cfg  Config
	seen *memory
}

// New makes a Listener.
func New(cfg Config) (*Listener, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.Concurrency = cmp.Or(cfg.Concurrency, DefaultConcurrency)
	return &Listener{cfg: cfg, seen: newMemory(cfg.Now)}, nil
}

// NeedLeaderElection is true: only the leader's cache is known to be watched, and one listener is enough.
func (l *Listener) NeedLeaderElection() bool { return true }

// Start receives until ctx ends, and answers when the last notice was handled or given up.
func (l *Listener) Start(ctx context.Context) error {
	var handlers sync.WaitGroup
	defer handlers.Wait()
	slots := make(chan struct{}, l.cfg.Concurrency)
	backoff := firstBackoff
	for ctx.Err() == nil {
		asked := time.Now()
		notices, err := l.cfg.Source.Receive(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			l.cfg.Metrics.NoticeReceiveFailed()
			log.FromContext(ctx).Error(err, "Receiving notices", "retryIn", backoff)
			pause(ctx, backoff)
			backoff = min(2*backoff, lastBackoff)
			continue
		case len(notices) == 0 && time.Since(asked) < emptyPause:
			pause(ctx, emptyPause)
		}
		backoff = firstBackoff
		batch := newBatch(l.cfg.Client, l.cfg.Live)
		for _, n := range notices {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			handlers.Go(func() {
				defer func() { <-slots }()
				l.take(ctx, n, batch)
			})
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// take handles one notice and acknowledges it, unless it is to come again.
func (l *Listener) take(ctx context.Context, n cloud.Notice, b *batch) {
	ctx, cancel := context.WithTimeout(ctx, handleTimeout)
	defer cancel()
	logger := log.FromContext(ctx).WithValues("notice", n.ID, "kind", n.Kind, "instance", n.InstanceID)
	outcome, err := l.handle(log.IntoContext(ctx, logger), n, b)
	if err != nil {
		l.cfg.Metrics.Noticed(n.Kind, telemetry.NoticeFailed)
		logger.Error(err, "Handling a notice; it comes again")
		return
	}
	l.cfg.Metrics.Noticed(n.Kind, outcome)
	if outcome == telemetry.NoticeWaits {
		return
	}
	if err := l.cfg.Source.Done(ctx, n); err != nil {
		logger.Error(err, "Acknowledging a notice; it comes again and is handled again")
	}
}
