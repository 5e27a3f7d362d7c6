package claim_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/cloud/health"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
	"github.com/slipway-sh/slipway/pkg/provisioner/claim"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
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
		Now: time.Now,
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

// effect runs one effect of the controller, unless it dies before.
func (w *world) effect(do func() error) error {
	w.mu.Lock()
	if w.dead {
		w.mu.Unlock()
		return errCrash
	}
	w.effects++
	dies := w.effects == w.crashAt
	if dies {
		w.dead = true
		w.crashes++
	}
	late := w.crashLate
	w.mu.Unlock()
	if dies && !late {
		return errCrash
	}
	if err := do(); err != nil || !dies {
		return err
	}
	return errCrash
}

// funcs make every write of the controller an effect, and play what the fake client does not: graceful deletion and budgets.
func (w *world) funcs() interceptor.Funcs {
	return interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			return w.effect(func() error { return c.Patch(ctx, o, p, opts...) })
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			return w.effect(func() error { return c.SubResource(sub).Patch(ctx, o, p, opts...) })
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			return w.effect(func() error {
				if pod, isPod := o.(*corev1.Pod); isPod {
					return w.stopPod(pod, (&client.DeleteOptions{}).ApplyOptions(opts).GracePeriodSeconds)
				}
				return c.Delete(ctx, o, opts...)
			})
		},
		SubResourceCreate: func(_ context.Context, _ client.Client, _ string, o, body client.Object, _ ...client.SubResourceCreateOption) error {
			return w.effect(func() error { return w.evict(o.(*corev1.Pod), body.(*policyv1.Eviction)) })
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if w.lag != nil {
				return w.lag.Get(ctx, key, o, opts...)
			}
			return c.Get(ctx, key, o, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			if w.lag != nil {
				return w.lag.List(ctx, l, opts...)
			}
			return c.List(ctx, l, opts...)
		},
	}
}

func (w *world) evict(pod *corev1.Pod, eviction *policyv1.Eviction) error {
	w.mu.Lock()
	budget := w.budgets[pod.Name]
	w.mu.Unlock()
	if budget != "" {
		err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
		err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
			Type: policyv1.DisruptionBudgetCause, Message: "The disruption budget " + budget + " needs 1 healthy pods and has 1 currently",
		})
		return err
	}
	return w.stopPod(pod, eviction.DeleteOptions.GracePeriodSeconds)
}

// stopPod is the deletion of a pod: it may run on until the end of its grace.
func (w *world) stopPod(pod *corev1.Pod, graceSeconds *int64) error {
	stored := &corev1.Pod{}
	if err := w.admin.Get(w.ctx, client.ObjectKeyFromObject(pod), stored); err != nil {
		return err
	}
	grace := time.Duration(*stored.Spec.TerminationGracePeriodSeconds) * time.Second
	if graceSeconds != nil {
		grace = time.Duration(*graceSeconds) * time.Second
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	end := time.Now().Add(grace)
	if was, stopping := w.ends[pod.Name]; !stopping || end.Before(was) {
		w.ends[pod.Name] = end
	}
	if _, before := w.asked[pod.Name]; !before {
		w.asked[pod.Name] = time.Now()
	}
	return nil
}

// live is the API server as the controller reads it: pods that were asked to stop carry the end of their grace.
type live struct{ w *world }

func (l live) Get(ctx context.Context, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
	return l.w.admin.Get(ctx, key, o, opts...)
}

func (l live) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if err := l.w.admin.List(ctx, list, opts...); err != nil {
		return err
	}
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	if pods, isPods := list.(*corev1.PodList); isPods {
		for i := range pods.Items {
			if end, stopping := l.w.ends[pods.Items[i].Name]; stopping {
				pods.Items[i].DeletionTimestamp = &metav1.Time{Time: end}
			}
		}
	}
	return nil
}

// fleet is the cloud as the controller sees it; every call is an effect, and no machine may end under a pod's feet.
type fleet struct{ w *world }

func (f fleet) Launch(ctx context.Context, req cloud.LaunchRequest) (result cloud.LaunchResult, err error) {
	if f.w.forgetToken {
		req.Token = fmt.Sprintf("%s-%d", req.Token, f.w.effects)
	}
	err = f.w.effect(func() (err error) { result, err = f.w.cloud.Launch(ctx, req); return err })
	return result, err
}

func (f fleet) Terminate(ctx context.Context, id string) error {
	return f.w.effect(func() error { f.w.checkVictims(id); return f.w.cloud.Terminate(ctx, id) })
}

func (f fleet) Instance(ctx context.Context, id string) (i cloud.Instance, err error) {
	err = f.w.effect(func() (err error) { i, err = f.w.cloud.Instance(ctx, id); return err })
	return i, err
}

func (f fleet) Instances(ctx context.Context) (i []cloud.Instance, err error) {
	err = f.w.effect(func() (err error) { i, err = f.w.cloud.Instances(ctx); return err })
	return i, err
}

// checkVictims is invariant 2: a node that goes without a notice has no GPU pod bound to it when it is terminated.
func (w *world) checkVictims(id string) {
	m, _ := w.cloud.Machine(id)
	if !m.Alive() || !m.Deadline.IsZero() {
		return
	}
	for _, p := range w.pods() {
		if p.Spec.NodeName == nodeName(m) && demand.AsksForGPU(&p) && p.Status.Phase == corev1.PodRunning {
			w.problem("machine %s is ended while GPU pod %s runs on it", id, p.Name)
		}
	}
}

func (w *world) problem(format string, args ...any) {
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// The ports of the controller that the world itself plays.

func (w *world) Template(string) (cloud.Template, error) { return cloud.Template{}, w.notReady }

func (w *world) Type(name string) (cloud.InstanceType, bool) { t, ok := w.types[name]; return t, ok }

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

// tick lets a second pass: kubelets do their work, the cache may catch up, the queue hands out what is due.
func (w *world) tick() { w.tickUpTo(time.Second) }

// next is how long nothing will happen by itself: at least a second.
func (w *world) next() time.Duration {
	w.enqueueChanges() // of what the test has done since the last tick
	now := time.Now()
	if w.stale != nil || len(w.dueClaims()) > 0 {
		return time.Second
	}
	soonest := w.nextGC
	consider := func(at time.Time) {
		if at.After(now) && at.Before(soonest) {
			soonest = at
		}
	}
	for _, at := range w.due {
		consider(at)
	}
	for _, end := range w.ends {
		consider(end)
	}
	for _, m := range w.cloud.Machines() {
		consider(m.JoinAt)
		consider(m.GPUAt)
	}
	if at, any := w.cloud.Next(); any {
		consider(at)
	}
	return max(time.Second, soonest.Sub(now))
}

// tickUpTo is tick for as long as nothing happens, at most for limit.
func (w *world) tickUpTo(limit time.Duration) {
	time.Sleep(max(time.Second, min(limit, w.next())))
	w.kubelets()
	if w.stale != nil && (w.lag == nil || w.stale.IntN(4) == 0) {
		w.lag = w.takeSnapshot()
	}
	w.enqueueChanges()
	w.sweep()
	for round := 0; ; round++ { // a claim may ask to be seen again at once, but not for ever
		due := w.dueClaims()
		if len(due) == 0 {
			break
		}
		if round == 20 {
			w.problem("claim %s is reconciled over and over", due[0])
			break
		}
		for _, name := range due {
			w.reconcile(name)
		}
	}
	if w.dead {
		w.start()
	}
}

func (w *world) sweep() {
	if time.Now().Before(w.nextGC) {
		return
	}
	w.nextGC = time.Now().Add(30 * time.Second)
	if err := w.orphans.Sweep(w.ctx); err != nil && !errors.Is(err, errCrash) {
		w.record("sweep: " + err.Error())
	}
}

func (w *world) dueClaims() []string {
	var due []string
	for name, at := range w.due {
		if !w.dead && !at.After(time.Now()) {
			due = append(due, name)
		}
	}
	slices.Sort(due)
	return due
}

func (w *world) reconcile(name string) {
	delete(w.due, name)
	result, err := w.r.Reconcile(w.ctx, reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
	switch {
	case err != nil:
		if !errors.Is(err, errCrash) {
			w.record("error: " + err.Error())
		}
		w.due[name] = time.Now().Add(time.Second)
	case result.RequeueAfter > 0:
		w.due[name] = time.Now().Add(result.RequeueAfter)
	}
	w.enqueueChanges()
}

// enqueueChanges is the controller's watch: of claims, and of nodes by their provider ID or label.
func (w *world) enqueueChanges() {
	reader := client.Reader(w.admin)
	if w.lag != nil {
		reader = w.lag
	}
	var claims v1alpha1.NodeClaimList
	var nodes corev1.NodeList
	w.must(reader.List(w.ctx, &claims))
	w.must(reader.List(w.ctx, &nodes))
	present := map[string]bool{}
	for i := range claims.Items {
		c := &claims.Items[i]
		if w.seen["claim/"+c.Name] != c.ResourceVersion {
			w.seen["claim/"+c.Name] = c.ResourceVersion
			w.due[c.Name] = time.Now()
		}
	}
	for i := range nodes.Items {
		n := &nodes.Items[i]
		present["node/"+n.Name] = true
		if w.seen["node/"+n.Name] != n.ResourceVersion {
			w.seen["node/"+n.Name] = n.ResourceVersion
			w.dueByNode(claims.Items, n)
		}
	}
	for key := range maps.Clone(w.seen) {
		if strings.HasPrefix(key, "node/") && !present[key] {
			delete(w.seen, key)
			for i := range claims.Items {
				if claims.Items[i].Status.NodeName == strings.TrimPrefix(key, "node/") {
					w.due[claims.Items[i].Name] = time.Now()
				}
			}
		}
	}
}

func (w *world) dueByNode(claims []v1alpha1.NodeClaim, n *corev1.Node) {
	for i := range claims {
		if claims[i].Status.ProviderID == n.Spec.ProviderID || claims[i].Name == n.Labels[v1alpha1.LabelClaim] {
			w.due[claims[i].Name] = time.Now()
		}
	}
}

// takeSnapshot answers what a cache holds that is up to date now.
func (w *world) takeSnapshot() client.Client {
	b := fake.NewClientBuilder().WithScheme(w.admin.Scheme()).WithStatusSubresource(&v1alpha1.NodeClaim{})
	for _, i := range claim.Indexes() {
		b = b.WithIndex(i.Object, i.Field, i.Extract)
	}
	var claims v1alpha1.NodeClaimList
	var nodes corev1.NodeList
	w.must(w.admin.List(w.ctx, &claims))
	w.must(w.admin.List(w.ctx, &nodes))
	return b.WithLists(&claims, &nodes).Build()
}
