package shrink_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
	"github.com/slipway-sh/slipway/pkg/provisioner/shrink"
)

var idleFor10s = v1alpha1.Disruption{IdleAfter: "10s", ExpireAfter: v1alpha1.Never}

func TestIdleNodeGoes(t *testing.T) {
	w := newWorld(t, idleFor10s)
	began := w.now
	var marked, fenced, gone time.Time
	for range 60 {
		if err := w.second(); err != nil {
			t.Fatal(err)
		}
		c := w.claim()
		if c.Status.Retire != nil && marked.IsZero() {
			marked = w.now
		}
		if f := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionFenced); f != nil && fenced.IsZero() {
			fenced = w.now
		}
		if w.deleted() {
			gone = w.now
			break
		}
	}
	// Idle is counted from the first look, a second after the start.
	if want := began.Add(11 * time.Second); !marked.Equal(want) || gone.IsZero() {
		t.Fatalf("marked %v, want %v; fenced %v, deleted %v", marked, want, fenced, gone)
	}
	if stood := gone.Sub(fenced); stood < settle || stood > settle+2*time.Second {
		t.Errorf("the fence stood for %s before the last look, want %s and little more", stood, settle)
	}
}

// TestLateBind is invariant 2 for this loop: a pod that is bound at whichever moment up to the last look is not ended, and the node is taken
// back. Each run binds it at another moment; the caches show it at once, or never.
func TestLateBind(t *testing.T) {
	for _, hidden := range []bool{false, true} {
		for moment := range 64 {
			w := newWorld(t, idleFor10s)
			w.hidden = hidden
			at, bound := 0, ""
			step := func(name string) {
				if name == "delete" || bound != "" {
					return
				}
				if at == moment {
					bound = fmt.Sprintf("%s before %s, marked %v", w.now.Format("05"), name, w.claim().Status.Retire != nil)
					w.bind()
				}
				at++
			}
			w.before = step
			for range 40 {
				step("the second")
				_ = w.second() // a conflict is tried again
				if w.deleted() {
					break
				}
			}
			if bound == "" {
				if !w.deleted() {
					t.Fatalf("moment %d never came, and yet the node stays", moment)
				}
				break
			}
			if w.deleted() {
				t.Errorf("pod bound at %s (hidden from caches: %v): its node's claim is deleted", bound, hidden)
			}
			w.hidden = false
			for range 3 {
				_ = w.second()
			}
			if c := w.claim(); c.Status.Retire != nil || meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionFenced) {
				t.Errorf("pod bound at %s: the node is not taken back: %+v", bound, c.Status)
			}
		}
	}
}

// TestLateBind_catches sees that the runs above would show a loop that does not look again: with a look that finds nothing, the claim is
// deleted under a hidden pod.
func TestLateBind_catches(t *testing.T) {
	w := newWorld(t, idleFor10s)
	w.hidden = true
	blind, err := shrink.New(shrink.Config{View: w.loop.View, Retirer: w.loop.Retirer, Live: cached{w}, Now: w.loop.Now, Log: w.loop.Log,
		Tick: time.Second, Settle: settle})
	if err != nil {
		t.Fatal(err)
	}
	w.loop = blind
	w.bind()
	for range 40 {
		_ = w.second()
	}
	if !w.deleted() {
		t.Error("a loop that never looks deletes nothing: the test above proves nothing")
	}
}

// TestWhenTheLookFails: without an answer from the API server nothing is deleted.
func TestWhenTheLookFails(t *testing.T) {
	w := newWorld(t, idleFor10s)
	w.fail["look"] = errors.New("connection refused")
	var last error
	for range 40 {
		last = w.second()
	}
	if w.deleted() || last == nil {
		t.Errorf("deleted %v, err %v", w.deleted(), last)
	}
	w.fail = map[string]error{}
	for range 3 {
		_ = w.second()
	}
	if !w.deleted() {
		t.Error("the node stays after the API server is back")
	}
}

// TestOldFence: a condition that is left from an earlier mark does not shorten the wait, nor does one without its taint.
func TestOldFence(t *testing.T) {
	for name, spoil := range map[string]func(w *world){
		"marked again": func(w *world) {
			c := w.claim()
			c.Status.Retire.Since = metav1.NewTime(w.now)
			if err := w.client.Status().Update(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		},
		"taint taken off by somebody": func(w *world) {
			n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
			if err := w.client.Patch(t.Context(), n, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"taints":null}}`))); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, idleFor10s)
			for w.claim().Status.Retire == nil {
				_ = w.second()
			}
			for range int(settle/time.Second) - 1 {
				_ = w.second()
			}
			spoil(w)
			for range 4 {
				if _ = w.second(); w.deleted() {
					t.Fatal("deleted before the fence had settled")
				}
			}
		})
	}
}

// TestExpired: age takes a node with its pods; the claim's drain asks them to leave.
func TestExpired(t *testing.T) {
	w := newWorld(t, v1alpha1.Disruption{IdleAfter: v1alpha1.Never, ExpireAfter: "20s"})
	w.bind()
	for range 19 {
		_ = w.second()
	}
	if w.claim().Status.Retire != nil {
		t.Fatal("marked before its time")
	}
	for range 3 {
		_ = w.second()
	}
	if r := w.claim().Status.Retire; r == nil || r.Reason != v1alpha1.RetireExpired || w.deleted() {
		t.Fatalf("Retire = %+v, deleted %v", r, w.deleted())
	}
	for range 10 {
		_ = w.second()
	}
	if !w.deleted() {
		t.Error("an expired node stays")
	}
}

// TestOthersMarks: a claim that a notice has marked is not this loop's to delete or to release.
func TestOthersMarks(t *testing.T) {
	w := newWorld(t, idleFor10s)
	c := w.claim()
	c.Status.Retire = &v1alpha1.Retirement{Reason: v1alpha1.RetireNotice, Since: metav1.NewTime(w.now)}
	if err := w.client.Status().Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	for range 40 {
		_ = w.second()
	}
	if w.deleted() || w.claim().Status.Retire == nil {
		t.Errorf("deleted %v, Retire %v", w.deleted(), w.claim().Status.Retire)
	}
}

// TestNoticeDuringMark: a notice that arrives between the look and the mark is not overwritten.
func TestNoticeDuringMark(t *testing.T) {
	w := newWorld(t, idleFor10s)
	w.before = func(step string) {
		if c := w.claim(); step == "mark" && c.Status.Retire == nil {
			c.Status.Retire = &v1alpha1.Retirement{Reason: v1alpha1.RetireNotice, Since: metav1.NewTime(w.now)}
			if err := w.client.Status().Update(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 40 {
		_ = w.second()
	}
	if r := w.claim().Status.Retire; r == nil || r.Reason != v1alpha1.RetireNotice || w.deleted() {
		t.Errorf("Retire = %+v, deleted %v", r, w.deleted())
	}
}

// TestNodeDeletedBeforeItsFence: somebody deletes the node's object between the mark and the fence. The machine must not run for ever.
func TestNodeDeletedBeforeItsFence(t *testing.T) {
	w := newWorld(t, idleFor10s)
	for w.claim().Status.Retire == nil {
		w.now = w.now.Add(time.Second)
		if _, err := w.loop.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.client.Delete(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		w.now = w.now.Add(time.Second)
		if _, err := w.loop.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !w.deleted() {
		t.Errorf("the claim stays: %+v", w.claim().Status)
	}
}

// TestPodsThatKeepNoNode: a DaemonSet's pod with a GPU comes with every node, and a pod whose kubelet is dead never goes. Neither makes a
// node immortal.
func TestPodsThatKeepNoNode(t *testing.T) {
	for name, change := range map[string]func(w *world, p *corev1.Pod){
		"of a DaemonSet": func(_ *world, p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "d", UID: "d", Controller: new(true)}}
		},
		"its kubelet is dead": func(w *world, p *corev1.Pod) {
			p.Finalizers = []string{"test/kubelet"}
			p.Annotations = map[string]string{v1alpha1.AnnotationDoNotDisrupt: "true"}
			w.now = time.Now().Add(2 * time.Minute) // the end of its grace is by the API server's clock
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, idleFor10s)
			w.bind()
			p := &corev1.Pod{}
			if err := w.client.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "train"}, p); err != nil {
				t.Fatal(err)
			}
			change(w, p)
			err := w.client.Update(t.Context(), p)
			if len(p.Finalizers) > 0 {
				err = errors.Join(err, w.client.Delete(t.Context(), p))
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 40 {
				if err := w.second(); err != nil {
					t.Fatal(err)
				}
			}
			if !w.deleted() {
				t.Error("the node stays")
			}
		})
	}
}

// TestStartLooksWhenANodeIsDue: not only at each tick.
func TestStartLooksWhenANodeIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, v1alpha1.Disruption{IdleAfter: "2500ms"})
		w.now = time.Now()
		loop, err := shrink.New(shrink.Config{View: ticking{w}, Retirer: w.loop.Retirer, Live: w.client, Now: time.Now, Log: w.loop.Log,
			Tick: time.Minute, Settle: settle})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		go func() { _ = loop.Start(ctx) }()
		time.Sleep(time.Minute + 2*time.Second)
		if w.claim().Status.Retire != nil {
			t.Error("marked before its time")
		}
		time.Sleep(time.Second)
		if w.claim().Status.Retire == nil {
			t.Error("not marked 2.5 s after the first look")
		}
		stop()
		synctest.Wait()
	})
}

// ticking answers Views of the bubble's time.
type ticking struct{ w *world }

// View answers the present picture.
func (v ticking) View(ctx context.Context) (plan.View, error) {
	v.w.now = time.Now()
	return v.w.loop.View.View(ctx)
}

func TestConfigSaysWhatIsMissing(t *testing.T) {
	if _, err := shrink.New(shrink.Config{}); err == nil {
		t.Error("an empty Config is taken")
	}
	w := newWorld(t, idleFor10s)
	c := w.loop.Config
	c.Settle = 0
	if _, err := shrink.New(c); err == nil {
		t.Error("a fence without time to settle is taken")
	}
}
