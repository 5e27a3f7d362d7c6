package app

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/slipway-sh/slipway/pkg/cloud/aws"
)

// OnAWS assembles the controller on EC2.
func OnAWS(ctx context.Context, cfg Config, awsConfig aws.Config) (*App, error) {
	// The client is made before the metrics exist; calls made in between (one DescribeCluster) are not counted.
	var record atomic.Pointer[func(service, operation string, seconds float64, err error)]
	awsConfig.OnCall = func(service, operation string, seconds float64, err error) {
		if f := record.Load(); f != nil {
			(*f)(service, operation, seconds, err)
		}
	}
	adapter, err := aws.New(ctx, awsConfig)
	if err != nil {
		return nil, fmt.Errorf("connecting to AWS: %w", err)
	}
	cfg.Cloud = Cloud{Catalog: adapter.Catalog, Templates: adapter.Templates, Fleet: adapter.Fleet, Notices: adapter.Notices}
	cfg.Region = adapter.Region
	cfg.OnMetrics = func(f func(service, operation string, seconds float64, err error)) { record.Store(&f) }
	return New(cfg)
}
