package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/carryover"
	"github.com/slipway-sh/slipway/pkg/provisioner/nodeclass"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
	"github.com/slipway-sh/slipway/pkg/provisioner/status"
)

func (a *assembly) reconcilers(l *loops) error {
	classes, err := nodeclass.New(nodeclass.Config{
		Client: a.mgr.GetClient(), Live: a.mgr.GetAPIReader(), Templates: a.Cloud.Templates, Store: a.classes, Events: a.events,
		Refresh: a.NodeClassEvery, Changed: l.grow.Wake, Now: a.now,
		Degraded: func() []cloud.Degradation { return a.catalogue.Snapshot().Degraded },
	})
	if err != nil {
		return err
	}
	provisioners, err := status.New(status.Config{
		Client: a.mgr.GetClient(), Outlook: &outlook{loops: l, now: a.now}, Metrics: a.metrics, Events: a.events, Now: a.now,
	})
	if err != nil {
		return err
	}
	// The indexes are added while nothing runs yet, which needs no deadline of its own.
	if err := errors.Join(a.claims.SetupWithManager(context.Background(), a.mgr), classes.SetupWithManager(a.mgr),
		provisioners.SetupWithManager(a.mgr)); err != nil {
		return fmt.Errorf("adding the controllers: %w", err)
	}
	if err := a.sayIfNotHeeded(); err != nil {
		return err
	}
	return a.carryOver()
}

// carryOver has karpenter.sh/v1alpha5 carried over from when the cluster serves that API, which may be later than now.
func (a *assembly) carryOver() error {
	if a.WithoutKarpenter {
		return nil
	}
	client, err := discovery.NewDiscoveryClientForConfig(a.Kubernetes)
	if err != nil {
		return fmt.Errorf("making a discovery client: %w", err)
	}
	return a.mgr.Add(&oldAPI{discovery: client, mgr: a.mgr, events: a.events, log: a.Log.WithName("carryover")})
}

// oldAPI waits for the CRD of karpenter.sh/v1alpha5 and then adds its reconciler.
type oldAPI struct {
	discovery carryover.GroupVersions
	mgr       manager.Manager
	events    carryover.Events
	log       logr.Logger
}

// lookForOldAPI is how often the CRD is looked for until it is there.
const lookForOldAPI = 10 * time.Second

// Start looks until the API is served or ctx ends. A look that fails is repeated.
func (o *oldAPI) Start(ctx context.Context) error {
	for {
		served, err := carryover.Served(o.discovery)
		switch {
		case err != nil:
			o.log.Error(err, "Looking for karpenter.sh/v1alpha5", "retryIn", lookForOldAPI)
		case served:
			return (&carryover.Reconciler{Client: o.mgr.GetClient(), Events: o.events}).SetupWithManager(o.mgr)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lookForOldAPI):
		}
	}
}

// outlook answers what planning knows of a Provisioner, from a picture that is a few seconds old at most.
type outlook struct {
	*loops
	now func() time.Time

	mu    sync.Mutex
	types map[string]int
	at    time.Time
}

// outlookLasts bounds how often a View is made only to fill in statuses.
const outlookLasts = 5 * time.Second

// Held is how many pods are held that the Provisioner came nearest to serve.
func (o *outlook) Held(provisioner string) int32 { return o.grow.Held(provisioner) }

// MatchingTypes is how many instance types the Provisioner can buy.
func (o *outlook) MatchingTypes(provisioner string) (int, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.now().Sub(o.at) > outlookLasts {
		v, err := o.mirror.View(context.Background()) // reads memory only
		if err != nil {
			return 0, false
		}
		o.types, o.at = plan.MatchingTypes(v), o.now()
	}
	n, known := o.types[provisioner]
	return n, known
}
