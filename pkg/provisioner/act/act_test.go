package act_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/act"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

var (
	noon    = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	kind    = schema.GroupResource{Group: v1alpha1.Group, Resource: "nodeclaims"}
	errLost = errors.New("unexpected EOF")
)

// world is an API server that refuses, or loses requests or replies, and the count of what is promised.
type world struct {
	t      *testing.T
	client client.WithWatch
	actor  *act.Actor
	// before and after answer an error instead of the request's or the reply's arrival.
	before, after func(name string) error

	mu      sync.Mutex
	counted map[string]bool
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	none := func(string) error { return nil }
	w := &world{t: t, before: none, after: none, counted: map[string]bool{}}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.NodeClaim{}).WithObjects(objects...).Build()
	c := interceptor.NewClient(w.client, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			w.mu.Lock()
			if !w.counted[o.GetName()] {
				t.Errorf("claim %s is sent before it counts", o.GetName())
			}
			w.mu.Unlock()
			if err := w.before(o.GetName()); err != nil {
				return err
			}
			if err := c.Create(ctx, o, opts...); err != nil {
				return err
			}
			return w.after(o.GetName())
		},
	})
	w.actor = act.New(c, func(c v1alpha1.NodeClaim) { w.count(c.Name, true) }, func(name string) { w.count(name, false) },
		func() time.Time { return noon })
	return w
}

func (w *world) count(name string, yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counted[name] = yes
}

// state answers which claims exist and which count, each sorted.
func (w *world) state() (exist, counted []string) {
	w.t.Helper()
	var list v1alpha1.NodeClaimList
	if err := w.client.List(w.t.Context(), &list); err != nil {
		w.t.Fatal(err)
	}
	for _, c := range list.Items {
		exist = append(exist, c.Name)
	}
	for name, yes := range w.counted {
		if yes {
			counted = append(counted, name)
		}
	}
	slices.Sort(exist)
	slices.Sort(counted)
	return exist, counted
}

func (w *world) want(names ...string) {
	w.t.Helper()
	exist, counted := w.state()
	if diff := cmp.Diff(names, exist); diff != "" {
		w.t.Errorf("claims that exist (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(names, counted); diff != "" {
		w.t.Errorf("claims that count (-want +got):\n%s", diff)
	}
}

func claims(names ...string) []v1alpha1.NodeClaim {
	var list []v1alpha1.NodeClaim
	for _, name := range names {
		list = append(list, v1alpha1.NodeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	return list
}

func TestCreateTwice(t *testing.T) {
	w := newWorld(t)
	list := claims("a", "b")
	for range 2 {
		if err := w.actor.Create(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		w.want("a", "b")
	}
	if list[0].ResourceVersion != "" {
		t.Error("the decision's claims were changed")
	}
}

func TestCreateMany(t *testing.T) {
	w := newWorld(t)
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("c-%03d", i))
	}
	if err := w.actor.Create(t.Context(), claims(names...)); err != nil {
		t.Fatal(err)
	}
	w.want(names...)
}

// TestRefusal: what the API server will not create does not count, and the others are created.
func TestRefusal(t *testing.T) {
	for name, refusal := range map[string]error{
		"invalid":      apierrors.NewInvalid(schema.GroupKind{Group: v1alpha1.Group, Kind: "NodeClaim"}, "bad", nil),
		"forbidden":    apierrors.NewForbidden(kind, "bad", errors.New("exceeded quota")),
		"bad request":  apierrors.NewBadRequest("unknown field"),
		"no such kind": apierrors.NewNotFound(kind, "bad"),
		"overload":     apierrors.NewTooManyRequests("slow down", 1),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.before = func(name string) error {
				if name == "bad" {
					return refusal
				}
				return nil
			}
			if err := w.actor.Create(t.Context(), claims("bad", "good")); !errors.Is(err, refusal) {
				t.Errorf("err = %v", err)
			}
			w.want("good")
			if err := w.actor.Create(t.Context(), nil); err != nil {
				t.Errorf("a refused claim is sent again: %v", err)
			}
		})
	}
}

// TestUnknownOutcome: a claim whose creation may have happened counts, and is sent again under its name until the answer is known. So
// neither can it turn up uncounted, nor can it count forever without being there.
func TestUnknownOutcome(t *testing.T) {
	lose := func(string) error { return errLost }
	for name, losing := range map[string]func(w *world){
		"the request is lost": func(w *world) { w.before = lose },
		"the reply is lost":   func(w *world) { w.after = lose },
		"a timeout":           func(w *world) { w.before = func(string) error { return apierrors.NewTimeoutError("etcd", 1) } },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			before, after := w.before, w.after
			losing(w)
			if err := w.actor.Create(t.Context(), claims("a")); err == nil {
				t.Fatal("no error")
			}
			if _, counted := w.state(); len(counted) != 1 {
				t.Fatal("a claim that may exist does not count")
			}
			w.before, w.after = before, after
			if err := w.actor.Create(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			w.want("a")
		})
	}
}

// TestUnknownThenRefused: what turns out to be refused stops counting.
func TestUnknownThenRefused(t *testing.T) {
	w := newWorld(t)
	w.before = func(string) error { return errLost }
	_ = w.actor.Create(t.Context(), claims("a"))
	w.before = func(string) error { return apierrors.NewForbidden(kind, "a", errors.New("no")) }
	if err := w.actor.Create(t.Context(), nil); err == nil {
		t.Error("no error")
	}
	w.want()
}

func stored(w *world, name string) *v1alpha1.NodeClaim {
	w.t.Helper()
	c := &v1alpha1.NodeClaim{}
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Name: name}, c); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestRetireAndRelease(t *testing.T) {
	w := newWorld(t, &claims("a")[0])
	idle := plan.Retire{Claim: "a", Reason: v1alpha1.RetireIdle, Message: "no pod"}
	seen := stored(w, "a")
	if err := w.actor.Retire(t.Context(), seen, idle); err != nil {
		t.Fatal(err)
	}
	want := &v1alpha1.Retirement{Reason: v1alpha1.RetireIdle, Message: "no pod", Since: metav1.NewTime(noon)}
	if diff := cmp.Diff(want, stored(w, "a").Status.Retire); diff != "" {
		t.Errorf("Retire (-want +got):\n%s", diff)
	}
	if err := w.actor.Retire(t.Context(), stored(w, "a"), plan.Retire{Reason: v1alpha1.RetireExpired}); err != nil {
		t.Fatal(err)
	}
	if got := stored(w, "a").Status.Retire.Reason; got != v1alpha1.RetireIdle {
		t.Errorf("a mark that is there is now %s", got)
	}
	for range 2 {
		if err := w.actor.Release(t.Context(), stored(w, "a")); err != nil {
			t.Fatal(err)
		}
	}
	if got := stored(w, "a").Status.Retire; got != nil {
		t.Errorf("Retire = %v after Release", got)
	}
}

// TestOldPicture: what was decided on a claim that has changed since is not done.
func TestOldPicture(t *testing.T) {
	acts := map[string]func(w *world, seen *v1alpha1.NodeClaim) error{
		"Retire": func(w *world, seen *v1alpha1.NodeClaim) error {
			return w.actor.Retire(w.t.Context(), seen, plan.Retire{Reason: v1alpha1.RetireIdle})
		},
		"Release": func(w *world, seen *v1alpha1.NodeClaim) error {
			seen.Status.Retire = &v1alpha1.Retirement{Reason: v1alpha1.RetireIdle}
			return w.actor.Release(w.t.Context(), seen)
		},
		"Delete": func(w *world, seen *v1alpha1.NodeClaim) error { return w.actor.Delete(w.t.Context(), seen) },
	}
	for name, do := range acts {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, &claims("a")[0])
			seen := stored(w, "a")
			now := stored(w, "a")
			now.Status.Retire = &v1alpha1.Retirement{Reason: v1alpha1.RetireNotice, Since: metav1.NewTime(noon)}
			if err := w.client.Status().Update(t.Context(), now); err != nil {
				t.Fatal(err)
			}
			if err := do(w, seen); !apierrors.IsConflict(err) {
				t.Errorf("err = %v, want a conflict", err)
			}
			if r := stored(w, "a").Status.Retire; r == nil || r.Reason != v1alpha1.RetireNotice {
				t.Errorf("Retire = %v", r)
			}
		})
	}
}

func TestDelete(t *testing.T) {
	w := newWorld(t, &claims("a")[0])
	seen := stored(w, "a")
	for range 2 { // what is gone is no error
		if err := w.actor.Delete(t.Context(), seen); err != nil {
			t.Fatal(err)
		}
	}
	w.want()
}
