package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/claim"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/grow"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
	"github.com/slipway-sh/slipway/pkg/provisioner/record"
)

// Cloud is the cloud's port, whole. Notices may be nil: then nodes go without warning.
type Cloud struct {
	Catalog   cloud.Catalog
	Templates cloud.Templates
	Fleet     cloud.Fleet
	Notices   cloud.NoticeSource
}

// Config is everything that the controller can be told.
type Config struct {
	Kubernetes *rest.Config
	Cloud      Cloud
	Region     string
	Log        logr.Logger

	// MetricsAddress and ProbeAddress are host:port; "0" switches the endpoint off.
	MetricsAddress string
	ProbeAddress   string
	// LeaderElection needs the namespace of the lease.
	LeaderElection          bool
	LeaderElectionNamespace string

	Windows grow.Windows
	// Foresight is how much room is left to pods that are expected to arrive.
	Foresight plan.Foresight
	Deadlines claim.Deadlines
	// NoticeMargin is how long before the deadline of a notice the last pod has been asked to stop.
	NoticeMargin time.Duration
	// FenceSettle is how long a fence stands before the last look at an idle node.
	FenceSettle time.Duration
	// WithoutNominations leaves status.nominatedNodeName of pods alone: schedulers then place pods as their own scoring says.
	WithoutNominations bool
	// WithoutKarpenter leaves Provisioners of karpenter.sh/v1alpha5 alone, even where the cluster serves them: the controller needs no right
	// to see them then.
	WithoutKarpenter bool
	// CatalogueEvery, OrphansEvery and NodeClassEvery are the paces of looking at the cloud.
	CatalogueEvery time.Duration
	OrphansEvery   time.Duration
	NodeClassEvery time.Duration

	// RecordViews is a directory that keeps the newest Views and Decisions within RecordLimits, for slipway simulate --view; empty: none
	// is kept. Program is the version that the records name.
	RecordViews  string
	RecordLimits record.Limits
	Program      string

	// DefaultSpread are the defaultConstraints of the cluster's scheduler profile (PodTopologySpreadArgs with defaultingType List), as YAML
	// or JSON; empty: it has none.
	DefaultSpread string

	// Registry takes the metrics; nil: the one that /metrics serves.
	Registry prometheus.Registerer
	// OnMetrics, if set, receives the metrics' hook for API calls of the cloud's client.
	OnMetrics func(record func(service, operation string, seconds float64, err error))
}

// Defaults fills in what is zero.
func (c Config) Defaults() Config {
	if c.Windows == (grow.Windows{}) {
		c.Windows = grow.DefaultWindows()
	}
	if c.RecordLimits == (record.Limits{}) {
		c.RecordLimits = record.DefaultLimits()
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&c.NoticeMargin, 30 * time.Second},
		{&c.FenceSettle, 5 * time.Second},
		{&c.CatalogueEvery, 5 * time.Minute},
		{&c.OrphansEvery, 30 * time.Second},
		{&c.NodeClassEvery, 5 * time.Minute},
	} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	return c
}

// Validate tells everything that is wrong.
func (c Config) Validate() error {
	var errs []error
	if c.Kubernetes == nil {
		errs = append(errs, errors.New("Kubernetes: a client configuration is required"))
	}
	if c.Cloud.Catalog == nil || c.Cloud.Templates == nil || c.Cloud.Fleet == nil {
		errs = append(errs, errors.New("Cloud: Catalog, Templates and Fleet are required"))
	}
	if c.Region == "" {
		errs = append(errs, errors.New("Region is required"))
	}
	if c.LeaderElection && c.LeaderElectionNamespace == "" {
		errs = append(errs, errors.New("LeaderElectionNamespace is required with LeaderElection"))
	}
	if w := c.Windows; w.Idle <= 0 || w.Most < w.Idle || w.Tick <= 0 {
		errs = append(errs, fmt.Errorf("Windows: idle %s must be positive and at most %s, and tick %s positive", w.Idle, w.Most, w.Tick))
	}
	if l := c.RecordLimits; c.RecordViews != "" && (l.Files <= 0 || l.Bytes <= 0) {
		errs = append(errs, fmt.Errorf("RecordLimits: %d files and %d bytes; want both above 0", l.Files, l.Bytes))
	}
	if _, err := c.defaultSpread(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c Config) defaultSpread() ([]corev1.TopologySpreadConstraint, error) {
	list, err := demand.ReadDefaultSpread(c.DefaultSpread)
	if err != nil {
		return nil, fmt.Errorf("DefaultSpread: %w", err)
	}
	return list, nil
}
