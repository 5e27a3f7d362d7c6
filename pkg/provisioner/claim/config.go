package claim

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Defaults that a zero field of Config stands for.
const (
	DefaultLaunchDeadline = 5 * time.Minute
	DefaultJoinDeadline   = 15 * time.Minute
	DefaultReadyDeadline  = 15 * time.Minute
	DefaultNoticeMargin   = 30 * time.Second
	DefaultConcurrency    = 64
)

const (
	// visibleWithin is how long a machine may take to show in the cloud's descriptions (eventual consistency). Within it,
	// "there is no such machine" proves nothing. EC2 says minutes in theory and takes seconds in practice.
	visibleWithin = time.Minute
	// settleTime is how long a node must have been fenced before its pods are counted for the last time: a scheduler that has not
	// seen the fence yet may still bind one.
	settleTime = 5 * time.Second
	// launchTimeout bounds one call of Fleet.Launch. It is well below visibleWithin, so that a call of a former leader has
	// ended before its machine is looked for in vain.
	launchTimeout = 40 * time.Second
	// unannounced is the age up to which the launch of a fresh claim is not announced. Without an announcement a machine is looked for
	// until visibleWithin after the claim's creation, so with launchTimeout this must stay below it.
	unannounced = 15 * time.Second
	// misconfiguredPatience is the age up to which a claim tries again after "this request can never succeed".
	misconfiguredPatience = time.Minute
	// failedDrainTime is how long pods without GPUs are moved with regard to their budgets off a node that failed to get ready.
	failedDrainTime = 2 * time.Minute
	// staleWait is how long a pass waits that has seen a claim without the machine that is on record: caches lag by milliseconds.
	staleWait = 50 * time.Millisecond
	// pollInterval is the time between two looks at what tells nothing by itself: the cloud, and pods that are ending.
	pollInterval = 5 * time.Second
	// lookInterval is the time between two looks at a machine whose node is awaited.
	lookInterval = 30 * time.Second
)

// Deadlines are how long each phase may take. Zero means the default.
type Deadlines struct {
	Launch time.Duration // from the claim's creation to its machine
	Join   time.Duration // from the machine to its node
	Ready  time.Duration // from the node to its GPUs
}

// Config is what a Reconciler needs. Zero Deadlines, NoticeMargin and Concurrency mean the defaults; everything else is required.
type Config struct {
	// Client reads through the manager's cache. It must have the indexes of Indexes (SetupWithManager adds them).
	Client client.Client
	// Live reads from the API server: before a machine ends, what is bound to its node is never taken from a cache.
	Live client.Reader

	Fleet     Fleet
	Templates Templates
	Catalog   Catalog
	Health    Health
	Events    Events
	Meter     Meter
	// Nominator may be nil: then schedulers find the places on a new node by themselves.
	Nominator Nominator
	// Volumes may be nil: then a node opens whatever drivers it runs.
	Volumes Volumes

	Region    string
	Deadlines Deadlines
	// NoticeMargin is how long before the deadline of a notice the last pod is asked to stop, at the latest.
	NoticeMargin time.Duration
	// Concurrency is how many claims are worked on at once; a launch can take seconds, and none waits for another.
	Concurrency int
	Now         func() time.Time
}

// Validate answers everything that is missing or contradictory.
func (c Config) Validate() error {
	var errs []error
	for _, field := range []struct {
		name    string
		missing bool
	}{
		{"Client", c.Client == nil}, {"Live", c.Live == nil}, {"Fleet", c.Fleet == nil}, {"Templates", c.Templates == nil},
		{"Catalog", c.Catalog == nil}, {"Health", c.Health == nil}, {"Events", c.Events == nil}, {"Region", c.Region == ""},
		{"Meter", c.Meter == nil}, {"Now", c.Now == nil},
	} {
		if field.missing {
			errs = append(errs, fmt.Errorf("%s is required", field.name))
		}
	}
	for _, d := range []time.Duration{c.Deadlines.Launch, c.Deadlines.Join, c.Deadlines.Ready, c.NoticeMargin} {
		if d < 0 {
			errs = append(errs, errors.New("Deadlines and NoticeMargin must not be negative"))
			break
		}
	}
	if c.Concurrency < 0 {
		errs = append(errs, errors.New("Concurrency must not be negative"))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	c.Deadlines.Launch = cmp.Or(c.Deadlines.Launch, DefaultLaunchDeadline)
	c.Deadlines.Join = cmp.Or(c.Deadlines.Join, DefaultJoinDeadline)
	c.Deadlines.Ready = cmp.Or(c.Deadlines.Ready, DefaultReadyDeadline)
	c.NoticeMargin = cmp.Or(c.NoticeMargin, DefaultNoticeMargin)
	c.Concurrency = cmp.Or(c.Concurrency, DefaultConcurrency)
	return c
}
