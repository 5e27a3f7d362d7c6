package inventory_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

func tainted(key string) func(*corev1.Node) {
	return func(n *corev1.Node) {
		n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoSchedule})
	}
}

func TestOpenAndFenced(t *testing.T) {
	idle := func(c *v1alpha1.NodeClaim) { c.Status.Retire = &v1alpha1.Retirement{Reason: v1alpha1.RetireIdle} }
	none := func(*v1alpha1.NodeClaim) {}
	cases := map[string]struct {
		node         func(*corev1.Node)
		claim        func(*v1alpha1.NodeClaim)
		open, fenced bool
	}{
		"ready":                 {func(*corev1.Node) {}, none, true, false},
		"unregistered":          {tainted(v1alpha1.TaintUnregistered), none, false, false},
		"gated":                 {func(n *corev1.Node) { n.Spec.Unschedulable = true }, none, false, false},
		"not ready":             {func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }, none, false, false},
		"never reported":        {func(n *corev1.Node) { n.Status.Conditions = nil }, none, false, false},
		"no longer gated":       {tainted(corev1.TaintNodeUnschedulable), none, false, false}, // its taint goes a moment later
		"just ready":            {tainted(corev1.TaintNodeNotReady), none, false, false},
		"user's taint":          {tainted("dedicated"), none, true, false},
		"fenced":                {tainted(v1alpha1.TaintRetiring), idle, false, true},
		"to be fenced":          {func(*corev1.Node) {}, idle, false, true},
		"fence to be taken off": {tainted(v1alpha1.TaintRetiring), none, false, false},
		"fenced and gated": {func(n *corev1.Node) {
			tainted(v1alpha1.TaintRetiring)(n)
			n.Spec.Unschedulable = true
		}, idle, false, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.create(machine("n1", tc.node), claimOf("n1", tc.claim))
			if n := node(w.view(), "n1"); n.Open != tc.open || n.Fenced != tc.fenced {
				t.Errorf("open %v, fenced %v; want %v, %v", n.Open, n.Fenced, tc.open, tc.fenced)
			}
		})
	}
}

func TestDoNotDisrupt(t *testing.T) {
	for _, key := range []string{v1alpha1.AnnotationDoNotDisrupt, v1alpha1.KarpenterDoNotDisrupt, v1alpha1.KarpenterDoNotEvict} {
		for value, want := range map[string]bool{"true": true, "false": false} {
			w := newWorld(t)
			w.create(machine("by-pod"), machine("by-node", func(n *corev1.Node) { n.Annotations = map[string]string{key: value} }), machine("free"))
			w.create(pod("p", "by-pod", withoutGPU, func(p *corev1.Pod) { p.Annotations = map[string]string{key: value} }))
			v := w.view()
			if node(v, "by-pod").DoNotDisrupt != want || node(v, "by-node").DoNotDisrupt != want || node(v, "free").DoNotDisrupt {
				t.Errorf("%s=%s: pod %v, node %v", key, value, node(v, "by-pod").DoNotDisrupt, node(v, "by-node").DoNotDisrupt)
			}
		}
	}
}

// TestResizedInPlace: a node is as full as its scheduler counts it while a pod on it is being made smaller.
func TestResizedInPlace(t *testing.T) {
	w := newWorld(t)
	w.create(machine("n1"), pod("p", "n1", func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", AllocatedResources: quantities("cpu", "1"),
			Resources: &corev1.ResourceRequirements{Requests: quantities("cpu", "3")}}}
	}))
	if n := node(w.view(), "n1"); n.Free[corev1.ResourceCPU] != 900 || n.Bound[corev1.ResourceCPU] != 3000 {
		t.Errorf("%d milli-cores are free and %d bound, want 900 and 3000: its containers still have 3", n.Free[corev1.ResourceCPU], n.Bound[corev1.ResourceCPU])
	}
}

// TestIdle follows one node through its life by the clock.
func TestIdle(t *testing.T) {
	w := newWorld(t)
	unready := func(c *v1alpha1.NodeClaim) { c.Status.Conditions = nil }
	w.create(machine("n1"), claimOf("n1", unready))
	idle := func(step string, want time.Time) {
		t.Helper()
		if got := node(w.after(time.Minute), "n1").IdleSince; !got.Equal(want) {
			t.Errorf("%s: idle since %v, want %v", step, got, want)
		}
	}
	idle("Ready as a node, its claim is not: an idle clock would run while the GPUs come up", time.Time{})
	change(w, claimOf("n1"), func(c *v1alpha1.NodeClaim) {
		c.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}
	})
	ready := w.now.Add(time.Minute)
	idle("ready", ready)
	w.create(pod("small", "n1", withoutGPU))
	idle("a pod without GPU is no use", ready)
	change(w, machine("n1"), func(n *corev1.Node) { n.Spec.Unschedulable = true })
	idle("cordoned", ready)
	w.create(pod("works", "n1"))
	idle("in use", time.Time{})
	change(w, pod("works", "n1"), func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })
	left := w.now.Add(time.Minute)
	idle("left", left)
	idle("still", left)
	w.create(pod("nominated", "", func(p *corev1.Pod) { p.Status.NominatedNodeName = "n1" }))
	idle("a pod is about to come", time.Time{})
	if v := w.view(); len(v.Demands) != 0 || node(v, "n1").Free[v1alpha1.ResourceGPU] != 0 {
		t.Errorf("the nominated pod's place is free: %+v", node(v, "n1"))
	}
}

// TestOurNomination: a pod that Slipway has nominated is a demand and holds no place, and one for which others are made to leave is none
// and holds one, even where both name the same node. So no pod is ever both.
func TestOurNomination(t *testing.T) {
	w := newWorld(t)
	expected := func(p *corev1.Pod) {
		p.Spec.Priority = new(int32)
		*p.Spec.Priority = 10
		p.Status.NominatedNodeName = "n1"
		p.Status.Conditions = append(p.Status.Conditions,
			corev1.PodCondition{Type: v1alpha1.PodNominated, Status: corev1.ConditionTrue, Message: "n1"})
	}
	w.create(machine("n1"), claimOf("n1"), pod("expected", "", expected))
	v := w.view()
	if n := node(v, "n1"); len(v.Demands) != 1 || v.Demands[0].Pods[0].Nominated != "n1" || n.Free[v1alpha1.ResourceGPU] != 1000 || n.GPUPods != 0 {
		t.Fatalf("demands %+v, node %+v", v.Demands, n)
	}
	w.create(pod("victim", "n1", func(p *corev1.Pod) {
		p.Finalizers = []string{"test/kept"} // the fake client has no grace
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
			Reason: corev1.PodReasonPreemptionByScheduler}}
	}))
	if v := w.view(); len(v.Demands) != 1 {
		t.Errorf("a pod that is marked and not terminating makes no room yet: %+v", v.Demands)
	}
	if err := w.client.Delete(t.Context(), pod("victim", "n1")); err != nil {
		t.Fatal(err)
	}
	if v := w.view(); len(v.Demands) != 0 || node(v, "n1").GPUPods != 2 {
		t.Errorf("a pod that preempts: demands %+v, node %+v", v.Demands, node(v, "n1"))
	}
	change(w, pod("expected", ""), func(p *corev1.Pod) { p.Status.NominatedNodeName = "" })
	if v := w.view(); len(v.Demands) != 1 || v.Demands[0].Pods[0].Nominated != "" || node(v, "n1").GPUPods != 1 {
		t.Errorf("the nomination was dropped: demands %+v, node %+v", v.Demands, node(v, "n1"))
	}
}

// TestIdleAfterRestart states a known weakness: a new Mirror's clock starts anew, so a node is kept longer, never shorter.
func TestIdleAfterRestart(t *testing.T) {
	w := newWorld(t)
	w.create(machine("n1"), claimOf("n1"))
	w.view()
	again := newWorld(t)
	again.create(machine("n1"), claimOf("n1"))
	if got := node(again.after(time.Hour), "n1").IdleSince; !got.Equal(noon.Add(time.Hour)) {
		t.Errorf("idle since %v", got)
	}
}

// TestQuiet: whatever may let another pod onto the node ends the quiet.
func TestQuiet(t *testing.T) {
	w := newWorld(t)
	w.create(machine("n1"), claimOf("n1"))
	quiet := func(step string, want time.Time) {
		t.Helper()
		if got := node(w.after(time.Minute), "n1").QuietSince; !got.Equal(want) {
			t.Errorf("%s: quiet since %v, want %v", step, got, want)
		}
	}
	first := w.now.Add(time.Minute)
	quiet("first seen", first)
	quiet("unchanged", first)
	steps := []struct {
		name string
		do   func()
	}{
		{"a pod came", func() { w.create(pod("p", "n1", withoutGPU)) }},
		{"a taint came", func() { change(w, machine("n1"), tainted("dedicated")) }},
		{"a taint went", func() { change(w, machine("n1"), func(n *corev1.Node) { n.Spec.Taints = nil }) }},
		{"a label changed", func() { change(w, machine("n1"), func(n *corev1.Node) { n.Labels["name"] = "other" }) }},
		{"it was cordoned", func() { change(w, machine("n1"), func(n *corev1.Node) { n.Spec.Unschedulable = true }) }},
	}
	for _, step := range steps {
		step.do()
		since := w.now.Add(time.Minute)
		quiet(step.name, since)
		quiet(step.name+", and then nothing", since)
	}
}
