package inventory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Catalogue keeps the last Snapshot of a cloud.Catalog and refreshes it. It is a manager.Runnable that runs on every replica, so that a
// new leader knows prices at once.
type Catalogue struct {
	source   cloud.Catalog
	every    time.Duration
	log      logr.Logger
	degraded func([]cloud.Degradation)

	mu        sync.RWMutex
	snapshot  cloud.Snapshot
	types     map[string]cloud.InstanceType
	offerings map[cloud.OfferingKey]cloud.Offering
	loaded    chan struct{}
	changed   func()
}

// NewCatalogue answers an empty catalogue that loads source now and then every so often (spot prices move within the hour: 5 minutes is
// a good pace). degraded is told after each load what stands in for what; it may be nil.
func NewCatalogue(source cloud.Catalog, every time.Duration, log logr.Logger, degraded func([]cloud.Degradation)) *Catalogue {
	return &Catalogue{source: source, every: every, log: log, degraded: degraded, loaded: make(chan struct{}), changed: func() {}}
}

// OnChange sets what is called after each successful load. It must be called before Start.
func (c *Catalogue) OnChange(f func()) { c.changed = f }

// NeedLeaderElection is false: every replica keeps its own catalogue.
func (c *Catalogue) NeedLeaderElection() bool { return false }

// Start loads until ctx ends. Until the first success it tries again every 1 s to 30 s.
func (c *Catalogue) Start(ctx context.Context) error {
	retry := time.Second
	for {
		wait := c.every
		if err := c.Load(ctx); err != nil {
			c.log.Error(err, "Loading the catalogue; planning goes on with the last one", "retryIn", retry)
			wait = retry
			retry = min(2*retry, 30*time.Second)
		} else {
			retry = time.Second
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// Load asks the source once.
func (c *Catalogue) Load(ctx context.Context) error {
	snapshot, err := c.source.Load(ctx)
	if err != nil {
		return fmt.Errorf("loading instance types and prices: %w", err)
	}
	types := make(map[string]cloud.InstanceType, len(snapshot.Types))
	for _, t := range snapshot.Types {
		types[t.Name] = t
	}
	offerings := make(map[cloud.OfferingKey]cloud.Offering, len(snapshot.Offerings))
	for _, o := range snapshot.Offerings {
		offerings[o.OfferingKey] = o
	}
	c.mu.Lock()
	c.snapshot, c.types, c.offerings = snapshot, types, offerings
	select {
	case <-c.loaded:
	default:
		close(c.loaded)
	}
	c.mu.Unlock()
	if c.degraded != nil {
		c.degraded(snapshot.Degraded)
	}
	c.changed()
	return nil
}

// Loaded is closed once there is a snapshot.
func (c *Catalogue) Loaded() <-chan struct{} { return c.loaded }

// Snapshot answers the last one. Callers must not change it.
func (c *Catalogue) Snapshot() cloud.Snapshot {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.snapshot
}

// Type answers an instance type by name.
func (c *Catalogue) Type(name string) (cloud.InstanceType, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	t, ok := c.types[name]
	return t, ok
}

// Offering answers an offering by key.
func (c *Catalogue) Offering(key cloud.OfferingKey) (cloud.Offering, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	o, ok := c.offerings[key]
	return o, ok
}
