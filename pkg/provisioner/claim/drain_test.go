package claim_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// readyWorld has a ready claim a.
func readyWorld(t *testing.T) *world {
	w := newWorld(t, options{})
	w.create("a", 8, "p3.16xlarge")
	w.ready("a")
	return w
}

// TestNoticeIsADeadline is invariant 9: every pod has been asked to stop before the deadline minus the margin, whatever its budget
// and its annotation say, and has as much of its grace as there is.
func TestNoticeIsADeadline(t *testing.T) {
	cases := map[string]struct {
		options []podOption
		budget  string
		atOnce  bool
	}{
		"ordinary":                      {options: []podOption{withGPU}, atOnce: true},
		"without GPU":                   {atOnce: true},
		"budget":                        {options: []podOption{withGPU}, budget: "trainers"},
		"do not disrupt":                {options: []podOption{withGPU, annotated(v1alpha1.AnnotationDoNotDisrupt)}},
		"do not disrupt and budget":     {options: []podOption{withGPU, annotated(v1alpha1.KarpenterDoNotDisrupt)}, budget: "trainers"},
		"do not evict":                  {options: []podOption{annotated(v1alpha1.KarpenterDoNotEvict)}},
		"long grace":                    {options: []podOption{withGPU, withGrace(3600)}, atOnce: true},
		"long grace and do not disrupt": {options: []podOption{withGPU, withGrace(3600), annotated(v1alpha1.AnnotationDoNotDisrupt)}, atOnce: true},
		"grace of 80 s and budget":      {options: []podOption{withGPU, withGrace(80)}, budget: "trainers"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := readyWorld(t)
				w.bind("train", "a", tc.options...)
				w.bind("daemon", "a", ofDaemonSet)
				if tc.budget != "" {
					w.budgets["train"] = tc.budget
				}
				start := time.Now()
				deadline := start.Add(2 * time.Minute)
				w.must(w.cloud.Interrupt(w.get("a").Status.InstanceID))
				w.retire("a", v1alpha1.RetireNotice, deadline)
				w.remove("a")
				w.run("gone", 4*time.Minute, w.gone("a"))
				asked, was := w.asked["train"]
				if !was || asked.After(deadline.Add(-30*time.Second)) {
					t.Fatalf("asked to stop %v (%v before the deadline)\n%s", was, deadline.Sub(asked), w.dump())
				}
				if w.ends["train"].After(deadline) {
					t.Errorf("its grace ends %v after the deadline", w.ends["train"].Sub(deadline))
				}
				if first := asked.Sub(start) <= 2*time.Second; first != tc.atOnce {
					t.Errorf("asked %v after the notice; at once: %v", asked.Sub(start), tc.atOnce)
				}
				if _, stopped := w.asked["daemon"]; stopped {
					t.Error("a DaemonSet's pod was moved")
				}
				w.check()
			})
		})
	}
}

// TestManyPodsUnderNotice: 40 pods that may not be evicted are all asked in time, those with GPUs first.
func TestManyPodsUnderNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := readyWorld(t)
		for i := range 40 {
			name := fmt.Sprintf("pod-%02d", i)
			w.bind(name, "a", withGPU)
			w.budgets[name] = "all"
		}
		deadline := time.Now().Add(2 * time.Minute)
		w.retire("a", v1alpha1.RetireNotice, deadline)
		w.remove("a")
		w.run("gone", 4*time.Minute, w.gone("a"))
		for name, at := range w.asked {
			if at.After(deadline.Add(-30 * time.Second)) {
				t.Errorf("%s was asked %v before the deadline", name, deadline.Sub(at))
			}
		}
		if len(w.asked) != 40 {
			t.Errorf("%d pods were asked", len(w.asked))
		}
	})
}

// TestKindRetirement: without a deadline budgets and wishes hold, and the condition names what holds the node.
func TestKindRetirement(t *testing.T) {
	cases := map[string]struct {
		reason  v1alpha1.RetireReason
		options []podOption
		budget  string
		words   []string
	}{
		"expired, budget":           {v1alpha1.RetireExpired, []podOption{withGPU}, "trainers", []string{"default/train", "The disruption budget trainers"}},
		"expired, do not disrupt":   {v1alpha1.RetireExpired, []podOption{withGPU, annotated(v1alpha1.AnnotationDoNotDisrupt)}, "", []string{"default/train", v1alpha1.AnnotationDoNotDisrupt}},
		"deleted, do not evict":     {v1alpha1.RetireDeleted, []podOption{annotated(v1alpha1.KarpenterDoNotEvict)}, "", []string{"default/train", v1alpha1.KarpenterDoNotEvict}},
		"notice without a deadline": {v1alpha1.RetireNotice, []podOption{withGPU}, "trainers", []string{"trainers"}},
		"idle, a GPU pod came":      {v1alpha1.RetireIdle, []podOption{withGPU}, "", []string{"default/train", "asks for a GPU"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := readyWorld(t)
				w.bind("train", "a", tc.options...)
				w.bind("web", "a")
				if tc.budget != "" {
					w.budgets["train"] = tc.budget
				}
				w.retire("a", tc.reason, time.Time{})
				w.remove("a")
				w.pass(10 * time.Minute)
				c := w.get("a")
				if c == nil || !w.running("train") || w.running("web") || w.alive() != 1 {
					t.Fatalf("want train left alone and web moved\n%s", w.dump())
				}
				drained := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionDrained)
				if drained.Reason != string(v1alpha1.ReasonBlocked) || !w.told(append(tc.words, "EvictionBlocked")...) {
					t.Errorf("condition %+v\n%s", drained, w.dump())
				}
				w.finish("train")
				w.run("gone", 2*time.Minute, w.gone("a"))
				w.check()
			})
		})
	}
}

// TestPodBoundAfterDrain: a scheduler that had not seen the fence binds a GPU pod at every second of the way out. The pod either runs
// to its end, or came after the machine's end was asked for.
func TestPodBoundAfterDrain(t *testing.T) {
	for second := range 15 {
		t.Run(fmt.Sprint(second), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := readyWorld(t)
				w.retire("a", v1alpha1.RetireIdle, time.Time{})
				w.remove("a")
				w.pass(time.Duration(second) * time.Second)
				if w.get("a") == nil || w.alive() == 0 {
					return // the machine was ending before
				}
				w.bind("train", "a", withGPU)
				w.pass(3 * time.Minute)
				if w.get("a") == nil || !w.running("train") || w.alive() != 1 {
					t.Fatalf("the pod's machine was taken\n%s", w.dump())
				}
				w.finish("train")
				w.run("gone", 2*time.Minute, w.gone("a"))
				w.check()
			})
		})
	}
}

// TestStuckPod: a pod whose kubelet will never report its end does not keep the machine for ever.
func TestStuckPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := readyWorld(t)
		w.bind("web", "a")
		w.ends["web"] = time.Now().Add(24 * time.Hour)
		w.retire("a", v1alpha1.RetireExpired, time.Time{})
		w.remove("a")
		w.pass(time.Minute)
		if w.get("a") == nil {
			t.Fatal("it was not waited for")
		}
		w.ends["web"] = time.Now().Add(-2 * time.Minute)
		w.t.Log("the pod is stuck from here on")
		p := w.pods()[0]
		w.must(w.admin.Delete(w.ctx, &p))
		w.run("gone", 2*time.Minute, w.gone("a"))
	})
}

// TestNeverReadyDrain: pods without GPUs hold a node that never got ready for two minutes at most.
func TestNeverReadyDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := readyWorld(t)
		w.bind("web", "a")
		w.budgets["web"] = "web"
		w.retire("a", v1alpha1.RetireNeverReady, time.Time{})
		w.pass(time.Minute + 50*time.Second)
		if w.alive() != 1 {
			t.Error("its budget was not kept for two minutes")
		}
		w.run("gone", 2*time.Minute, w.gone("a"))
	})
}

// TestAFenceIsTimedOnce: by whoever has put it up, the notice or the claim.
func TestAFenceIsTimedOnce(t *testing.T) {
	for byNotice, want := range map[bool]uint64{false: 1, true: 0} {
		synctest.Test(t, func(t *testing.T) {
			w := readyWorld(t)
			if byNotice {
				n := w.node(w.get("a"))
				n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: v1alpha1.TaintRetiring, Effect: corev1.TaintEffectNoSchedule})
				w.must(w.admin.Update(w.ctx, n))
			}
			w.retire("a", v1alpha1.RetireNotice, time.Now().Add(2*time.Minute))
			w.run("fenced", time.Minute, w.is("a", v1alpha1.ConditionFenced))
			families, err := w.registry.Gather()
			w.must(err)
			timed := uint64(0)
			for _, f := range families {
				if strings.Contains(f.GetName(), "fence") {
					timed += f.GetMetric()[0].GetHistogram().GetSampleCount()
				}
			}
			if timed != want {
				t.Errorf("fenced by the notice %v: timed %d times by the claim, want %d", byNotice, timed, want)
			}
		})
	}
}
