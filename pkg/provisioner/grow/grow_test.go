package grow_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/grow"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

var windows = grow.Windows{Idle: 100 * time.Millisecond, Most: time.Second, Tick: 10 * time.Second}

// world is a cluster with a Provisioner of g4dn.xlarge and at most two nodes. It is what the loop looks at, acts on and tells.
type world struct {
	began time.Time
	loop  *grow.Loop

	mu      sync.Mutex
	pods    int
	claims  []plan.Claim
	looks   []time.Duration // since the beginning
	broken  error           // what looking answers
	refused error           // what creating answers
	planned []int           // pods held, by decision that was told of
	held    map[string]v1alpha1.Reason
	settled int           // calls of Create
	slow    time.Duration // what the first Create takes
	onLook  func()
}

func newWorld() *world {
	w := &world{began: time.Now(), held: map[string]v1alpha1.Reason{}}
	w.loop = grow.New(windows, w, w, w, logr.Discard())
	return w
}

// View answers the present picture.
func (w *world) View(context.Context) (plan.View, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks = append(w.looks, time.Since(w.began))
	if w.onLook != nil {
		w.onLook()
	}
	kind, _ := catalogue.Embedded().Type("g4dn.xlarge")
	key := cloud.OfferingKey{InstanceType: kind.Name, Zone: "us-east-1a", Market: cloud.OnDemand}
	p := plan.Provisioner{Object: v1alpha1.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}}, Zones: []string{key.Zone},
		Architectures: []string{"amd64"}, Disk: plan.Disk{RootVolumeGiB: 80}}
	p.Object.Spec.Limits = v1alpha1.Limits{v1alpha1.LimitNodes: plan.Usage(kind, 0)[v1alpha1.LimitNodes]}
	two := p.Object.Spec.Limits[v1alpha1.LimitNodes]
	two.Add(two)
	p.Object.Spec.Limits[v1alpha1.LimitNodes] = two
	v := plan.View{Now: time.Now(), Region: "us-east-1", Types: []cloud.InstanceType{kind}, Provisioners: []plan.Provisioner{p},
		Offerings: []plan.Offering{{Offering: cloud.Offering{OfferingKey: key, PriceMicroUSDPerHour: 526_000}, Stock: -1}},
		Claims:    slices.Clone(w.claims)}
	if w.pods > 0 {
		d := demand.Demand{Key: "pods", Requests: demand.Resources{v1alpha1.ResourceGPU: 1000, corev1.ResourcePods: 1}}
		for i := range w.pods {
			name := fmt.Sprintf("pod-%03d", i)
			d.Pods = append(d.Pods, demand.Pod{Namespace: "default", Name: name, UID: types.UID(name), Since: time.Now()})
		}
		v.Demands = []demand.Demand{d}
	}
	return v, w.broken
}

// Create takes claims into the picture.
func (w *world) Create(_ context.Context, claims []v1alpha1.NodeClaim) error {
	w.mu.Lock()
	slow := w.slow
	w.slow = 0
	w.mu.Unlock()
	time.Sleep(slow)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settled++
	for _, c := range claims {
		w.claims = append(w.claims, plan.Claim{Object: c})
	}
	return w.refused
}

// Planned notes how many pods a decision holds.
func (w *world) Decided(plan.View, plan.Decision) {}

func (w *world) Planned(_ plan.View, d plan.Decision, _ time.Duration) {
	n := 0
	for _, h := range d.Held {
		n += len(h.Pods)
	}
	w.planned = append(w.planned, n)
}

// HeldPod notes why.
func (w *world) HeldPod(p demand.Pod, h plan.Held) { w.held[p.Name] = h.Reason }

func (w *world) arrive(n int) {
	w.mu.Lock()
	w.pods += n
	w.mu.Unlock()
	w.loop.Wake()
}

// run runs the loop in a bubble while f goes on, stops it, and then checks.
func run(t *testing.T, f, check func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.loop.Start(ctx) }()
		f(w)
		stop()
		if err := <-done; err != nil {
			t.Errorf("Start answers %v", err)
		}
		check(w)
	})
}

func (w *world) wantLooks(t *testing.T, want ...time.Duration) {
	t.Helper()
	if diff := cmp.Diff(want, w.looks); diff != "" {
		t.Errorf("looks (-want +got):\n%s", diff)
	}
}

func TestOneDecisionForABurst(t *testing.T) {
	run(t, func(w *world) {
		for range 5 {
			w.arrive(1)
			time.Sleep(60 * time.Millisecond)
		}
		time.Sleep(time.Second)
	}, func(w *world) {
		w.wantLooks(t, 340*time.Millisecond)
		if len(w.claims) != 2 {
			t.Errorf("%d claims, want the limit of 2", len(w.claims))
		}
	})
}

func TestAnEndlessBurstIsCutOff(t *testing.T) {
	run(t, func(w *world) {
		for range 40 {
			w.arrive(1)
			time.Sleep(49 * time.Millisecond)
		}
		time.Sleep(time.Second)
	}, func(w *world) {
		// The first second ends one burst. The next begins with the arrival after that, at 1029 ms, and ends 100 ms after the last.
		w.wantLooks(t, time.Second, 2011*time.Millisecond)
	})
}

// What arrives while a decision is carried out has waited since then: a burst that keeps coming is not made to wait for a whole window more.
func TestArrivalsDuringADecisionCountFromTheirArrival(t *testing.T) {
	run(t, func(w *world) {
		w.slow = 800 * time.Millisecond
		w.arrive(1)                        // looked at after 100 ms; its creation ends at 900 ms
		time.Sleep(150 * time.Millisecond) // the first that comes meanwhile
		for range 30 {
			w.arrive(1)
			time.Sleep(50 * time.Millisecond)
		}
		time.Sleep(5 * time.Second)
	}, func(w *world) {
		// The second look is one second after 150 ms, not after 900 ms; the last is 100 ms after the last arrival, at 1600 ms.
		w.wantLooks(t, 100*time.Millisecond, 1150*time.Millisecond, 1700*time.Millisecond)
	})
}

func TestTick(t *testing.T) {
	run(t, func(*world) { time.Sleep(25 * time.Second) }, func(w *world) {
		w.wantLooks(t, 10*time.Second, 20*time.Second)
	})
}

func TestWakeNeverBlocks(t *testing.T) {
	w := newWorld()
	for range 10 { // nobody listens
		w.loop.Wake()
	}
	run(t, func(w *world) {
		time.Sleep(windows.Tick + time.Millisecond) // the loop has just looked
		w.loop.Wake()
		time.Sleep(time.Second)
	}, func(w *world) { w.wantLooks(t, windows.Tick, windows.Tick+101*time.Millisecond) })
}

func TestWakeDuringADecisionIsNotLost(t *testing.T) {
	run(t, func(w *world) {
		w.mu.Lock()
		w.onLook = func() {
			w.onLook = nil
			w.loop.Wake()
		}
		w.mu.Unlock()
		w.loop.Wake()
		time.Sleep(time.Second)
	}, func(w *world) { w.wantLooks(t, 100*time.Millisecond, 200*time.Millisecond) })
}

func TestHeldIsCountedAndTold(t *testing.T) {
	w := newWorld()
	w.pods = 5
	for range 2 {
		if err := w.loop.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.loop.Held("gpu"); got != 3 || w.loop.Held("other") != 0 {
			t.Errorf("%d pods are held, want 3", got)
		}
	}
	if len(w.claims) != 2 || len(w.held) != 3 || w.held["pod-004"] != v1alpha1.HeldLimit {
		t.Errorf("%d claims, held %v", len(w.claims), w.held)
	}
	w.pods = 0
	for range 3 {
		if err := w.loop.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// That nobody is held any more is told once.
	if diff := cmp.Diff([]int{3, 3, 0}, w.planned); diff != "" || w.loop.Held("gpu") != 0 {
		t.Errorf("told of (-want +got):\n%s", diff)
	}
	if w.settled != 5 {
		t.Errorf("what is in doubt was settled in %d of 5 looks", w.settled)
	}
}

// TestErrorsDoNotEndTheLoop: neither a broken look nor a refused claim does, and a refusal is told like any decision.
func TestErrorsDoNotEndTheLoop(t *testing.T) {
	run(t, func(w *world) {
		w.mu.Lock()
		w.broken = errors.New("no cache")
		w.mu.Unlock()
		w.arrive(1)
		time.Sleep(time.Second)
		w.mu.Lock()
		w.broken, w.refused = nil, errors.New("forbidden")
		w.mu.Unlock()
		w.arrive(1)
		time.Sleep(time.Second)
	}, func(w *world) {
		if len(w.looks) != 2 || len(w.planned) != 1 {
			t.Errorf("%d looks, %d decisions told of; want 2, 1", len(w.looks), len(w.planned))
		}
	})
}
