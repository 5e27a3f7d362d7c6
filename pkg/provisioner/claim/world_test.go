package claim_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/cloud/health"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
	"github.com/slipway-sh/slipway/pkg/provisioner/claim"
	"github.com/slipway-sh/slipway/pkg/provisioner/orphan"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

// world is a cluster in memory with a simulated cloud. It is the API server, the kubelets and the queue of the controller, and it
// can kill the controller before or after any effect. It lives in a synctest bubble: time.Now is its clock.
type world struct {
	t     *testing.T
	ctx   context.Context
	admin client.WithWatch // the API server as everybody but the controller sees it
	cloud *sim.Cloud
	types map[string]cloud.InstanceType

	r        *claim.Reconciler
	registry *prometheus.Registry
	keptOnce bool // the first patch that takes a claim's finalizer off meets another's write
	orphans  *orphan.Loop
	due      map[string]time.Time // claim name to when it is reconciled next
	seen     map[string]string    // what the queue has seen of claims and nodes: kind/name to resourceVersion
	nextGC   time.Time

	mu       sync.Mutex
	budgets  map[string]string    // pod name to the budget that refuses its eviction
	ends     map[string]time.Time // pod name to the end of its grace, once it was asked to stop
	asked    map[string]time.Time // pod name to when it was first asked to stop
	events   []string
	problems []string // broken invariants
	notReady error    // what Templates answers
	missing  string   // what Volumes answers

	effects   int  // how many effects there were
	crashAt   int  // the effect at which the controller dies; 0: never
	crashLate bool // it dies after the effect took place
	dead      bool
	crashes   int

	forgetToken bool // a planted bug: every launch has a token of its own

	stale *rand.Rand // if set, the controller reads from a cache that lags
	lag   client.Client
}

// What is assembled in production satisfies the ports.
var (
	_ claim.Health = (*health.Book)(nil)
	_ claim.Meter  = (*telemetry.Metrics)(nil)
	_ claim.Fleet  = (*sim.Cloud)(nil)
)

var errCrash = errors.New("the controller was killed")

type options struct {
	config func(*sim.Config)
	stale  uint64
}

func newWorld(t *testing.T, o options) *world {
	t.Helper()
	w := &world{
		t: t, ctx: t.Context(), types: map[string]cloud.InstanceType{}, due: map[string]time.Time{}, seen: map[string]string{},
		budgets: map[string]string{}, ends: map[string]time.Time{}, asked: map[string]time.Time{},
	}
	facts := catalogue.Embedded()
	config := sim.Config{
		Seed: 1, Now: time.Now, ClusterName: "demo", Visible: sim.Delay{Base: 3 * time.Second}, Boot: sim.Delay{Base: 10 * time.Second},
		Join: sim.Delay{Base: 15 * time.Second}, GPU: sim.Delay{Base: 20 * time.Second}, ShutDown: sim.Delay{Base: 12 * time.Second},
	}
	for _, name := range []string{"g4dn.xlarge", "g4dn.2xlarge", "p3.16xlarge"} {
		kind, found := facts.Type(name)
		if !found {
			t.Fatalf("the catalogue does not know %s", name)
		}
		w.types[name] = kind
		config.Types = append(config.Types, kind)
		for _, zone := range []string{"us-east-1a", "us-east-1b"} {
			for _, market := range []cloud.Market{cloud.Spot, cloud.OnDemand} {
				config.Offerings = append(config.Offerings, cloud.Offering{
					OfferingKey: cloud.OfferingKey{InstanceType: name, Zone: zone, Market: market}, ZoneID: sim.ZoneID(zone), PriceMicroUSDPerHour: 200_000,
				})
			}
		}
	}
	if o.config != nil {
		o.config(&config)
	}
	var err error
	if w.cloud, err = sim.New(config); err != nil {
		t.Fatal(err)
	}
	if o.stale != 0 {
		w.stale = rand.New(rand.NewPCG(o.stale, 1))
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	b := fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.NodeClaim{})
	for _, i := range claim.Indexes() {
		b = b.WithIndex(i.Object, i.Field, i.Extract)
	}
	b = b.WithIndex(&corev1.Pod{}, "spec.nodeName", func(o client.Object) []string { return []string{o.(*corev1.Pod).Spec.NodeName} })
	w.admin = b.Build()
	w.start()
	return w
}

// start starts the controller anew; it knows nothing of what was before.
func (w *world) start() {
	w.dead = false
	c := interceptor.NewClient(w.admin, w.funcs())
	w.registry = prometheus.NewRegistry()
	metrics, err := telemetry.New(w.registry)
	if err != nil {
		w.t.Fatal(err)
	}
	w.r, err = claim.New(claim.Config{
		Client: c, Live: live{w}, Fleet: fleet{w}, Templates: w, Catalog: w, Health: w, Events: w, Meter: metrics, Region: "us-east-1",
		Volumes: w, Now: time.Now,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.orphans, err = orphan.New(orphan.Config{Client: c, Live: live{w}, Fleet: fleet{w}, Events: w, Meter: metrics, Log: logr.Discard(), Now: time.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	clear(w.due)
	clear(w.seen)
	w.nextGC = time.Now()
}

// The ports of the controller that the world itself plays.

func (w *world) MissingDriver(context.Context, string, []v1alpha1.PodRef) (string, error) {
	return w.missing, nil
}

func (w *world) Template(string) (cloud.Template, error) { return cloud.Template{}, w.notReady }

func (w *world) Type(name string) (cloud.InstanceType, bool) { t, ok := w.types[name]; return t, ok }

func (w *world) Loaded() <-chan struct{} {
	loaded := make(chan struct{})
	if len(w.types) > 0 {
		close(loaded)
	}
	return loaded
}

func (w *world) Offering(key cloud.OfferingKey) (cloud.Offering, bool) {
	return cloud.Offering{OfferingKey: key, ZoneID: sim.ZoneID(key.Zone), PriceMicroUSDPerHour: 200_000}, true
}

func (w *world) Launched(key cloud.OfferingKey, _ time.Time) {
	w.record("health: launched " + key.String())
}

func (w *world) Stockout(keys []cloud.OfferingKey, _ time.Time) {
	for _, k := range keys {
		w.record("health: stockout " + k.String())
	}
}

func (w *world) Refused(err error, _ time.Time) { w.record("health: refused " + err.Error()) }

func (w *world) Begin(string, []cloud.OfferingKey, time.Time) {}

func (w *world) End(string) {}

func (w *world) Eventf(about, _ runtime.Object, level, reason, _, note string, args ...any) {
	w.record(fmt.Sprintf("%T %s %s %s", about, level, reason, fmt.Sprintf(note, args...)))
}

func (w *world) record(line string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.dead {
		w.events = append(w.events, line)
	}
}

func (w *world) told(words ...string) bool {
	return slices.ContainsFunc(w.events, func(line string) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) })
	})
}
