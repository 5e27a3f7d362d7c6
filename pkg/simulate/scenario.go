package simulate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/inventory"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// DefaultRegion is simulated where nothing says another one: the region whose on-demand prices are in the program.
const DefaultRegion = "us-east-1"

// Config is what a simulation is made of. Now is required, and Manifests or Live.
type Config struct {
	Manifests []Manifest
	// Live, if set, reads a cluster that the manifests are laid over; nothing is written.
	Live client.Reader
	// Region; empty: that of the nodes, else DefaultRegion.
	Region string
	// Catalogue replaces the embedded one.
	Catalogue *CatalogueFile
	Prices    []Price
	Stockouts []Pattern
	// DefaultSpread is what the controller's --default-spread-constraints says.
	DefaultSpread []corev1.TopologySpreadConstraint
	Now           time.Time
}

// Validate tells which field is missing.
func (c Config) Validate() error {
	switch {
	case c.Now.IsZero():
		return errors.New("simulate.Config: Now is required")
	case len(c.Manifests) == 0 && c.Live == nil:
		return errors.New("nothing to simulate: there is no object in what was given; name manifests with -f, or use --cluster")
	}
	return nil
}

// Scenario is a View and what is known of it besides.
type Scenario struct {
	View        plan.View
	Assumptions []string        // each once, sorted
	Skipped     []Skipped       // by object
	NotOurs     []NotConsidered // by workload, then verdict
	owners      map[types.UID]string
}

// gathering is a Scenario in the making.
type gathering struct {
	Config
	world   *world
	assumed map[string]bool
	skipped []Skipped
	owners  map[types.UID]string
	classes *nodeClasses
	running map[string]map[string]bool // of a live cluster that manifests are laid over: the names of pods by their workload
}

// Gather answers the View that a controller would have. The error joins what is wrong with the manifests, each with file, document
// and field, or says what could not be read of the cluster.
func Gather(ctx context.Context, c Config) (Scenario, error) {
	if err := c.Validate(); err != nil {
		return Scenario{}, err
	}
	scheme, err := knownKinds()
	if err != nil {
		return Scenario{}, err
	}
	g := &gathering{Config: c, world: newWorld(scheme, c.Live), assumed: map[string]bool{}, owners: map[types.UID]string{}}
	if err := g.objects(ctx); err != nil {
		return Scenario{}, err
	}
	if err := g.region(ctx); err != nil {
		return Scenario{}, err
	}
	view, err := g.view(ctx)
	if err != nil {
		return Scenario{}, err
	}
	s := Scenario{View: view, Skipped: g.skipped, owners: g.owners}
	if s.NotOurs, err = g.notOurs(ctx); err != nil {
		return Scenario{}, err
	}
	s.Assumptions = slices.Sorted(maps.Keys(g.assumed))
	return s, s.change(c.Prices, c.Stockouts)
}

func (g *gathering) assume(format string, args ...any) {
	g.assumed[fmt.Sprintf(format, args...)] = true
}

// snapshot answers what is sold in the region, and its zones.
func (g *gathering) snapshot(ctx context.Context) (cloud.Snapshot, []string, error) {
	facts, err := g.facts(ctx)
	if err != nil {
		return cloud.Snapshot{}, nil, err
	}
	zones := zonesOf(facts, g.Region)
	if g.Catalogue != nil {
		s := g.Catalogue.snapshot(zones)
		zones = distinct(s.Offerings, func(o cloud.Offering) string { return o.Zone })
		if slices.ContainsFunc(g.Catalogue.Types, func(t CatalogueType) bool { return t.SpotPerHour == "" }) {
			g.assume("Spot prices that neither the catalogue nor --prices gives are estimates (about 0.3 of on-demand)")
		}
		return s, zones, nil
	}
	g.assume("Prices are on-demand list prices of %s, %s, and spot prices are estimates (about 0.3 of on-demand) where --prices gives none",
		facts.PriceRegion, facts.AsOf)
	g.assume("EC2 has capacity and quota for everything that --stockout does not name")
	return cloud.Snapshot{Types: facts.Types, Offerings: facts.Offerings(g.Region)}, zones, nil
}

func zonesOf(facts catalogue.Facts, region string) []string {
	zones := map[string]bool{}
	for _, in := range facts.Zones[region] {
		for _, zone := range in {
			zones[zone] = true
		}
	}
	return slices.Sorted(maps.Keys(zones))
}

// view looks at the world as the controller does.
func (g *gathering) view(ctx context.Context) (plan.View, error) {
	snapshot, zones, err := g.snapshot(ctx)
	if err != nil {
		return plan.View{}, err
	}
	g.classes.zones = zones
	sold := inventory.NewCatalogue(fixed{snapshot}, time.Hour, logr.Discard(), nil)
	if err := sold.Load(ctx); err != nil {
		return plan.View{}, err
	}
	mirror, err := inventory.New(inventory.Config{
		Reader: g.world, Catalogue: sold, NodeClasses: g.classes, Health: healthy{}, Region: g.Region,
		Orphans: func() []cloud.Instance { return nil }, Now: func() time.Time { return g.Now },
		DefaultSpread: g.DefaultSpread,
	})
	if err != nil {
		return plan.View{}, err
	}
	return mirror.View(ctx)
}

// healthy knows of no stockout.
type healthy struct{}

func (healthy) OfferingState(cloud.OfferingKey, time.Time) inventory.OfferingState {
	return inventory.OfferingState{Stock: -1}
}

// NotConsidered are pods that wait and that Slipway launches nothing for.
type NotConsidered struct {
	Workload string `json:"workload"`
	Pods     int    `json:"pods"`
	// Why is the verdict: NoGPU, Gated, Nominated, NotJudged, ...
	Why demand.Verdict `json:"why"`
}

// notOurs counts the pods without a node that Slipway leaves alone.
func (g *gathering) notOurs(ctx context.Context) ([]NotConsidered, error) {
	var pods corev1.PodList
	if err := g.world.List(ctx, &pods); err != nil {
		return nil, err
	}
	counts := map[NotConsidered]int{}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if _, known := g.owners[pod.UID]; !known {
			g.owners[pod.UID] = ownerOf(pod)
		}
		switch v := demand.Classify(pod); v {
		case demand.Ours, demand.Bound, demand.Finished, demand.Terminating, demand.Static, demand.DaemonOwned:
		default:
			if pod.Spec.NodeName == "" {
				counts[NotConsidered{Workload: g.owners[pod.UID], Why: v}]++
			}
		}
	}
	var all []NotConsidered
	for one, n := range counts {
		one.Pods = n
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b NotConsidered) int {
		return cmp.Or(cmp.Compare(a.Workload, b.Workload), cmp.Compare(a.Why, b.Why))
	})
	return all, nil
}

// change sets prices and stockouts. A pattern that selects nothing is an error: it would be a typing error.
func (s *Scenario) change(prices []Price, stockouts []Pattern) error {
	s.View.Offerings = slices.Clone(s.View.Offerings)
	each := func(p Pattern, f func(*plan.Offering)) error {
		found := false
		for i := range s.View.Offerings {
			if o := &s.View.Offerings[i]; p.matches(o.OfferingKey) {
				found = true
				f(o)
			}
		}
		if !found {
			return fmt.Errorf("%q selects nothing that is sold in %s", p.text, s.View.Region)
		}
		return nil
	}
	var errs []error
	for _, price := range prices {
		errs = append(errs, each(price.Of, func(o *plan.Offering) { o.PriceMicroUSDPerHour = price.MicroUSD }))
	}
	for _, out := range stockouts {
		errs = append(errs, each(out, func(o *plan.Offering) { o.Closed, o.Until = stockout, time.Time{} }))
	}
	return errors.Join(errs...)
}
