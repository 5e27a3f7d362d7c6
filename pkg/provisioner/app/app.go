package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud/health"
	"github.com/slipway-sh/slipway/pkg/cloud/observed"
	"github.com/slipway-sh/slipway/pkg/provisioner/act"
	"github.com/slipway-sh/slipway/pkg/provisioner/claim"
	"github.com/slipway-sh/slipway/pkg/provisioner/inventory"
	"github.com/slipway-sh/slipway/pkg/provisioner/nodeclass"
	"github.com/slipway-sh/slipway/pkg/provisioner/nominate"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

// App is an assembled controller.
type App struct {
	config  Config
	manager manager.Manager
}

// gracefulStop is how long Run gives everything to end: an eviction or a status patch in flight, not a drain.
const gracefulStop = 20 * time.Second

// New assembles the controller. Nothing runs before Run; the API server is asked only which APIs it serves.
func New(c Config) (*App, error) {
	c = c.Defaults()
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("checking the configuration: %w", err)
	}
	scheme, err := newScheme()
	if err != nil {
		return nil, err
	}
	grace, skip := gracefulStop, true
	mgr, err := ctrl.NewManager(c.Kubernetes, ctrl.Options{
		Scheme:                        scheme,
		Logger:                        c.Log,
		Cache:                         cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
		Metrics:                       metricsserver.Options{BindAddress: c.MetricsAddress},
		HealthProbeBindAddress:        c.ProbeAddress,
		LeaderElection:                c.LeaderElection,
		LeaderElectionID:              "slipway",
		LeaderElectionNamespace:       c.LeaderElectionNamespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &grace,
		// Names are unique within an App; a test may run several in one process.
		Controller: config.Controller{SkipNameValidation: &skip},
	})
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	a := &assembly{Config: c, mgr: mgr, now: time.Now}
	if err := a.assemble(); err != nil {
		return nil, err
	}
	return &App{config: c, manager: mgr}, nil
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, karpenterv1alpha5.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("registering kinds: %w", err)
		}
	}
	return scheme, nil
}

// Run runs until ctx ends or something cannot go on.
func (a *App) Run(ctx context.Context) error {
	if err := a.manager.Start(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("running the controller: %w", err)
	}
	return nil
}

// assembly is an App in the making.
type assembly struct {
	Config
	mgr manager.Manager
	now func() time.Time

	metrics    *telemetry.Metrics
	events     *telemetry.Events
	conditions *telemetry.PodConditions
	book       *health.Book
	catalogue  *inventory.Catalogue
	classes    *nodeclass.Store
	nominator  *nominate.Nominator
	claims     *claim.Reconciler
}

func (a *assembly) assemble() error {
	registry := a.Registry
	if registry == nil {
		registry = metrics.Registry
	}
	var err error
	if a.metrics, err = telemetry.New(registry); err != nil {
		return fmt.Errorf("registering metrics: %w", err)
	}
	if a.OnMetrics != nil {
		a.OnMetrics(observed.Requests(a.metrics))
	}
	pacer := telemetry.NewPacer(a.mgr.GetEventRecorder("slipway"))
	if err := a.mgr.Add(pacer); err != nil {
		return fmt.Errorf("adding the events' pacer: %w", err)
	}
	a.events = telemetry.NewEvents(pacer, a.now)
	a.conditions = telemetry.NewPodConditions(pacer, a.mgr.GetCache(), a.mgr.GetClient(), a.now, a.Log.WithName("conditions"))
	if a.book, err = health.New(health.DefaultPolicy()); err != nil {
		return err
	}
	a.Cloud = observe(a.Cloud, a.metrics)
	a.classes = nodeclass.NewStore()
	a.catalogue = inventory.NewCatalogue(a.Cloud.Catalog, a.CatalogueEvery, a.Log.WithName("catalogue"), a.degraded)
	if err := a.lives(); err != nil {
		return err
	}
	loops, err := a.loops()
	if err != nil {
		return err
	}
	if err := a.reconcilers(loops); err != nil {
		return err
	}
	return a.probes()
}

// lives makes who takes claims through their lives, and who tells schedulers of the nodes that open.
func (a *assembly) lives() (err error) {
	if a.nominator, err = nominate.New(nominate.Config{
		Cache: a.mgr.GetCache(), Writer: act.NewNominations(a.mgr.GetClient(), a.now), Meter: a.metrics, Events: a.events,
		Log: a.Log.WithName("nominate"), Now: a.now, Off: a.WithoutNominations,
	}); err != nil {
		return err
	}
	a.claims, err = claim.New(claim.Config{
		Client: a.mgr.GetClient(), Live: a.mgr.GetAPIReader(), Fleet: a.Cloud.Fleet, Templates: a.classes, Catalog: a.catalogue,
		Health: a.book, Events: a.events, Meter: a.metrics, Nominator: a.nominator, Volumes: inventory.Volumes{Reader: a.mgr.GetClient()}, Region: a.Region,
		Deadlines: a.Deadlines, NoticeMargin: a.NoticeMargin, Now: a.now,
	})
	return err
}

// observe counts and times every call through the port.
func observe(c Cloud, m *telemetry.Metrics) Cloud {
	c.Catalog = observed.Catalog(c.Catalog, m)
	c.Templates = observed.Templates(c.Templates, m)
	c.Fleet = observed.Fleet(c.Fleet, m)
	if c.Notices != nil {
		c.Notices = observed.NoticeSource(c.Notices, m)
	}
	return c
}

// probes: alive while the process answers; ready once prices are known, so that a new version that cannot reach EC2 does not replace
// one that can.
func (a *assembly) probes() error {
	ready := func(*http.Request) error {
		select {
		case <-a.catalogue.Loaded():
			return nil
		default:
			return inventory.ErrNotLoaded
		}
	}
	return errors.Join(a.mgr.AddHealthzCheck("ping", healthz.Ping), a.mgr.AddReadyzCheck("catalogue", ready))
}
