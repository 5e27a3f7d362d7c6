package app

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/slipway-sh/slipway/pkg/cloud/aws"
)

// OnAWS assembles the controller on EC2. While AWS cannot be reached (no credentials, no region, no network, no right to describe the
// cluster) it says so, answers probes as one who is alive and not ready, and tries again until ctx ends.
func OnAWS(ctx context.Context, cfg Config, awsConfig aws.Config) (*App, error) {
	// The client is made before the metrics exist; calls made in between (one DescribeCluster) are not counted.
	var record atomic.Pointer[func(service, operation string, seconds float64, err error)]
	awsConfig.OnCall = func(service, operation string, seconds float64, err error) {
		if f := record.Load(); f != nil {
			(*f)(service, operation, seconds, err)
		}
	}
	if err := awsConfig.Validate(); err != nil {
		return nil, fmt.Errorf("checking the AWS configuration: %w", err)
	}
	var adapter *aws.Cloud
	waiting := reach{probes: cfg.ProbeAddress, log: cfg.Log.WithName("aws"), first: reachFirst, last: reachLast}
	err := waiting.until(ctx, func(ctx context.Context) (err error) {
		adapter, err = aws.New(ctx, awsConfig)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to AWS: %w", err)
	}
	cfg.Cloud = Cloud{Catalog: adapter.Catalog, Templates: adapter.Templates, Fleet: adapter.Fleet, Notices: adapter.Notices}
	cfg.Region = adapter.Region
	cfg.OnMetrics = func(f func(service, operation string, seconds float64, err error)) { record.Store(&f) }
	a, err := New(cfg)
	if err != nil {
		return nil, err
	}
	if err := a.manager.Add(templateSweeper{adapter.Fleet, cfg.Log.WithName("launch-templates")}); err != nil {
		return nil, fmt.Errorf("adding the launch templates' sweeper: %w", err)
	}
	return a, nil
}

// templateSweeper deletes launch templates that no launch has used for a day: every change of an image or a user data leaves one, and
// an account may have 5,000.
type templateSweeper struct {
	fleet interface {
		SweepLaunchTemplates(ctx context.Context, minAge time.Duration) (deleted int, err error)
	}
	log logr.Logger
}

const (
	// templateAge is the age from which on an unused launch template is deleted.
	templateAge = 24 * time.Hour
	// sweepEvery is the time between two looks, far shorter than leaders live: each begins to count anew.
	sweepEvery = 2 * time.Hour
)

// Start sweeps until ctx ends. It is the leader's.
func (s templateSweeper) Start(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		deleted, err := s.fleet.SweepLaunchTemplates(ctx, templateAge)
		if err != nil && ctx.Err() == nil {
			s.log.Error(err, "Sweeping launch templates; the next look tries again")
		}
		if deleted > 0 {
			s.log.Info("Swept launch templates", "deleted", deleted)
		}
	}
}
