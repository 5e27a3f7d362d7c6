package app

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/health"
	"github.com/slipway-sh/slipway/pkg/provisioner/act"
	"github.com/slipway-sh/slipway/pkg/provisioner/grow"
	"github.com/slipway-sh/slipway/pkg/provisioner/inventory"
	"github.com/slipway-sh/slipway/pkg/provisioner/notice"
	"github.com/slipway-sh/slipway/pkg/provisioner/orphan"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
	"github.com/slipway-sh/slipway/pkg/provisioner/record"
	"github.com/slipway-sh/slipway/pkg/provisioner/shrink"
)

// shrinkTick is the pace of looking for idle nodes; a node that is due sooner is looked at when it is.
const shrinkTick = 5 * time.Second

// loops are the parts that run on their own and that reconcilers refer to.
type loops struct {
	grow   *grow.Loop
	mirror *inventory.Mirror
}

func (a *assembly) loops() (*loops, error) {
	sweeper, err := orphan.New(orphan.Config{
		Client: a.mgr.GetClient(), Live: a.mgr.GetAPIReader(), Fleet: a.Cloud.Fleet, Events: a.events,
		Meter: a.metrics, Log: a.Log.WithName("orphan"), Every: a.OrphansEvery, Now: a.now,
	})
	if err != nil {
		return nil, err
	}
	mirror, err := a.mirror(sweeper.Orphans)
	if err != nil {
		return nil, err
	}
	actor := a.actor(mirror)
	growing := grow.New(a.Windows, mirror, actor, observer{a.metrics, a.events, a.conditions, a.nominator.Follow, a.now}, a.Log.WithName("grow"))
	growing.Decide(plan.Policy{Foresight: a.Foresight})
	shrinking, err := shrink.New(shrink.Config{
		View: mirror, Retirer: actor, Live: a.mgr.GetAPIReader(), Now: a.now, Log: a.Log.WithName("shrink"),
		Tick: shrinkTick, Settle: a.FenceSettle,
	})
	if err != nil {
		return nil, err
	}
	a.catalogue.OnChange(growing.Wake)
	optional, err := a.optional(growing)
	if err != nil {
		return nil, err
	}
	for _, r := range append(optional,
		a.catalogue, a.conditions, sweeper, successor{growing, sweeper.Looked(), a.mgr.GetAPIReader(), a.mgr.GetCache(), a.Log.WithName("grow")}, shrinking, a.nominator,
		pruner{a.book, a.now},
		waker{a.mgr.GetCache(), wakers{grow: growing.Wake, pods: a.nominator.Saw, seen: mirror.Seen, ended: a.book.End}},
	) {
		if err := a.mgr.Add(r); err != nil {
			return nil, fmt.Errorf("adding %T: %w", r, err)
		}
	}
	return &loops{grow: growing, mirror: mirror}, nil
}

func (a *assembly) mirror(orphans func() []cloud.Instance) (*inventory.Mirror, error) {
	spread, err := a.defaultSpread()
	if err != nil {
		return nil, err
	}
	return inventory.New(inventory.Config{
		Reader: a.mgr.GetCache(), Catalogue: a.catalogue, NodeClasses: a.classes, Health: healthOf{a.book},
		Orphans: orphans, Region: a.Region, Now: a.now, DefaultSpread: spread,
	})
}

// actor answers who creates claims, and tells everybody who has to know of one before it can be seen.
func (a *assembly) actor(mirror *inventory.Mirror) *act.Actor {
	return act.New(a.mgr.GetClient(), func(c v1alpha1.NodeClaim) {
		mirror.Expect(c)
		a.claims.Created(c.Name)
		a.book.Begin(c.Name, offeringsOf(&c), a.now())
	}, func(name string) {
		mirror.Seen(name)
		a.claims.Withdrawn(name)
		a.book.End(name)
	}, a.now)
}

// optional answers what runs only where the configuration asks for it: who keeps Views, and who listens to notices.
func (a *assembly) optional(growing *grow.Loop) (runnables []manager.Runnable, err error) {
	if a.RecordViews != "" {
		directory, err := record.Open(a.RecordViews, a.RecordLimits)
		if err != nil {
			return nil, err
		}
		recorder := record.NewRecorder(directory, a.Program, a.Log.WithName("record"))
		growing.Record(recorder)
		runnables = append(runnables, recorder)
	}
	if a.Cloud.Notices != nil {
		listener, err := notice.New(notice.Config{
			Source: a.Cloud.Notices, Client: a.mgr.GetClient(), Live: a.mgr.GetAPIReader(), Machines: a.Cloud.Fleet, Health: a.book, Grow: growing,
			Metrics: a.metrics, Events: a.events, Now: a.now,
		})
		if err != nil {
			return nil, err
		}
		runnables = append(runnables, listener)
	}
	return runnables, nil
}

// pruner lets the book of offerings forget what is long over.
type pruner struct {
	book *health.Book
	now  func() time.Time
}

// pruneEvery bounds what the book keeps beyond its time.
const pruneEvery = 10 * time.Minute

// Start prunes until ctx ends.
func (p pruner) Start(ctx context.Context) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			p.book.Prune(p.now())
		}
	}
}

// offeringsOf are the offerings that a claim may be launched from.
func offeringsOf(c *v1alpha1.NodeClaim) []cloud.OfferingKey {
	keys := make([]cloud.OfferingKey, len(c.Spec.Choices))
	for i, choice := range c.Spec.Choices {
		keys[i] = cloud.OfferingKey{InstanceType: choice.InstanceType, Zone: choice.Zone, Market: cloud.Market(c.Spec.Market)}
	}
	return keys
}
