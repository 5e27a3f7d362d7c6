package observed

import (
	"context"
	"time"

	"github.com/slipway-sh/slipway/pkg/cloud"
)

// Observer takes the numbers. It is called from many goroutines.
type Observer interface {
	// CloudOperation: a call of the port (Fleet.Launch) ended so.
	CloudOperation(operation, outcome string, took time.Duration)
	// CloudRequest: a request on the wire (EC2, CreateFleet) ended so.
	CloudRequest(service, operation, outcome string, took time.Duration)
	// CatalogDegraded: these sources, possibly none, are replaced by older facts now.
	CatalogDegraded(sources []string)
}

// Requests is the hook for an adapter's own calls on the wire, retries included.
func Requests(to Observer) func(service, operation string, seconds float64, err error) {
	return func(service, operation string, seconds float64, err error) {
		to.CloudRequest(service, operation, Outcome(err), time.Duration(seconds*float64(time.Second)))
	}
}

// call times one call of the port. What it answers is all that a decorator adds.
func call[T any](to Observer, operation string, do func() (T, error)) (T, error) {
	start := time.Now()
	answer, err := do()
	to.CloudOperation(operation, Outcome(err), time.Since(start))
	return answer, err
}

func callOnly(to Observer, operation string, do func() error) error {
	_, err := call(to, operation, func() (struct{}, error) { return struct{}{}, do() })
	return err
}

// Fleet observes every call of a Fleet.
func Fleet(next cloud.Fleet, to Observer) cloud.Fleet { return fleet{next, to} }

type fleet struct {
	next cloud.Fleet
	to   Observer
}

func (f fleet) Launch(ctx context.Context, req cloud.LaunchRequest) (cloud.LaunchResult, error) {
	return call(f.to, "Fleet.Launch", func() (cloud.LaunchResult, error) { return f.next.Launch(ctx, req) })
}

func (f fleet) Terminate(ctx context.Context, instanceID string) error {
	return callOnly(f.to, "Fleet.Terminate", func() error { return f.next.Terminate(ctx, instanceID) })
}

func (f fleet) Instance(ctx context.Context, instanceID string) (cloud.Instance, error) {
	return call(f.to, "Fleet.Instance", func() (cloud.Instance, error) { return f.next.Instance(ctx, instanceID) })
}

func (f fleet) Instances(ctx context.Context) ([]cloud.Instance, error) {
	return call(f.to, "Fleet.Instances", func() ([]cloud.Instance, error) { return f.next.Instances(ctx) })
}

// Catalog observes every call of a Catalog, and which of its sources are degraded.
func Catalog(next cloud.Catalog, to Observer) cloud.Catalog { return catalog{next, to} }

type catalog struct {
	next cloud.Catalog
	to   Observer
}

func (c catalog) Load(ctx context.Context) (cloud.Snapshot, error) {
	snapshot, err := call(c.to, "Catalog.Load", func() (cloud.Snapshot, error) { return c.next.Load(ctx) })
	if err != nil {
		return snapshot, err
	}
	sources := make([]string, len(snapshot.Degraded))
	for i, d := range snapshot.Degraded {
		sources[i] = d.Source
	}
	c.to.CatalogDegraded(sources)
	return snapshot, nil
}

// Templates observes every call of a Templates.
func Templates(next cloud.Templates, to Observer) cloud.Templates { return templates{next, to} }

type templates struct {
	next cloud.Templates
	to   Observer
}

func (t templates) Resolve(ctx context.Context, spec cloud.TemplateSpec) (cloud.Template, error) {
	return call(t.to, "Templates.Resolve", func() (cloud.Template, error) { return t.next.Resolve(ctx, spec) })
}

func (t templates) Release(ctx context.Context, spec cloud.TemplateSpec) error {
	return callOnly(t.to, "Templates.Release", func() error { return t.next.Release(ctx, spec) })
}

// NoticeSource observes every call of a NoticeSource. nil stays nil: there are no notices.
func NoticeSource(next cloud.NoticeSource, to Observer) cloud.NoticeSource {
	if next == nil {
		return nil
	}
	return notices{next, to}
}

type notices struct {
	next cloud.NoticeSource
	to   Observer
}

func (n notices) Receive(ctx context.Context) ([]cloud.Notice, error) {
	return call(n.to, "NoticeSource.Receive", func() ([]cloud.Notice, error) { return n.next.Receive(ctx) })
}

func (n notices) Done(ctx context.Context, notice cloud.Notice) error {
	return callOnly(n.to, "NoticeSource.Done", func() error { return n.next.Done(ctx, notice) })
}
