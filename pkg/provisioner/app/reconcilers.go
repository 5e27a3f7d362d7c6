package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/discovery"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/provisioner/carryover"
	"github.com/slipway-sh/slipway/pkg/provisioner/claim"
	"github.com/slipway-sh/slipway/pkg/provisioner/nodeclass"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
	"github.com/slipway-sh/slipway/pkg/provisioner/status"
)

func (a *assembly) reconcilers(l *loops) error {
	claims, err := claim.New(claim.Config{
		Client: a.mgr.GetClient(), Live: a.mgr.GetAPIReader(), Fleet: a.Cloud.Fleet, Templates: a.classes, Catalog: a.catalogue,
		Health: a.book, Events: a.mgr.GetEventRecorder("slipway"), Meter: a.metrics, Region: a.Region,
		Deadlines: a.Deadlines, NoticeMargin: a.NoticeMargin, Now: a.now,
	})
	if err != nil {
		return err
	}
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
	if err := errors.Join(claims.SetupWithManager(context.Background(), a.mgr), classes.SetupWithManager(a.mgr),
		provisioners.SetupWithManager(a.mgr)); err != nil {
		return fmt.Errorf("adding the controllers: %w", err)
	}
	return a.carryOver()
}

// carryOver adds the reconciler of karpenter.sh/v1alpha5 if the cluster serves that API. It is looked up once: a CRD that is installed
// later asks for a restart, and the log says so.
func (a *assembly) carryOver() error {
	client, err := discovery.NewDiscoveryClientForConfig(a.Kubernetes)
	if err != nil {
		return fmt.Errorf("making a discovery client: %w", err)
	}
	served, err := carryover.Served(client)
	if err != nil {
		return fmt.Errorf("looking for karpenter.sh/v1alpha5: %w", err)
	}
	if !served {
		a.Log.Info("karpenter.sh/v1alpha5 is not served; Provisioners of that API are not carried over until the CRD is installed and the controller restarted")
		return nil
	}
	return (&carryover.Reconciler{Client: a.mgr.GetClient()}).SetupWithManager(a.mgr)
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
