package claim_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/sim"
)

// kubelets play the machines: they join, show GPUs, and end pods whose grace is over.
func (w *world) kubelets() {
	for _, m := range w.cloud.Machines() {
		node := &corev1.Node{}
		missing := apierrors.IsNotFound(w.admin.Get(w.ctx, client.ObjectKey{Name: nodeName(m)}, node))
		joined := !m.JoinAt.IsZero() && !time.Now().Before(m.JoinAt) && m.Alive()
		if missing && joined && w.seen["joined/"+m.ID] == "" {
			w.join(m)
			continue
		}
		if gpus := fmt.Sprint(m.GPUs); !missing && !m.GPUAt.IsZero() && !time.Now().Before(m.GPUAt) && w.seen["gpus/"+m.ID] == "" {
			w.seen["gpus/"+m.ID] = gpus
			w.showGPUs(node.Name, gpus)
		}
	}
	for _, p := range w.pods() {
		w.mu.Lock()
		end, stopping := w.ends[p.Name]
		w.mu.Unlock()
		if stopping && !time.Now().Before(end) {
			w.must(client.IgnoreNotFound(w.admin.Delete(w.ctx, &p)))
		}
	}
}

func nodeName(m sim.Machine) string { return m.PrivateDNS }

func (w *world) join(m sim.Machine) {
	w.seen["joined/"+m.ID] = "yes"
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: nodeName(m), UID: types.UID("node-" + m.ID), CreationTimestamp: metav1.Now(), Labels: maps.Clone(m.Node.Labels)},
		Spec:       corev1.NodeSpec{ProviderID: m.ProviderID()},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}},
	}
	for _, t := range m.Node.Taints {
		node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: t.Key, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	w.must(w.admin.Create(w.ctx, node))
}

func (w *world) showGPUs(node, gpus string) {
	w.updateNode(node, func(n *corev1.Node) {
		n.Status.Allocatable = corev1.ResourceList{v1alpha1.ResourceGPU: resource.MustParse(gpus)}
	})
}

func (w *world) updateNode(name string, change func(*corev1.Node)) {
	w.t.Helper()
	node := &corev1.Node{}
	w.must(w.admin.Get(w.ctx, client.ObjectKey{Name: name}, node))
	status := node.DeepCopy()
	change(status)
	spec := status.DeepCopy()
	w.must(w.admin.Status().Update(w.ctx, status))
	spec.ResourceVersion = status.ResourceVersion
	w.must(w.admin.Update(w.ctx, spec))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// run lets time pass until done, or fails after limit.
func (w *world) run(what string, limit time.Duration, done func() bool) {
	w.t.Helper()
	start := time.Now()
	for !done() {
		if time.Since(start) > limit {
			w.t.Fatalf("after %s: still not %s\n%s", limit, what, w.dump())
		}
		w.tickUpTo(time.Minute)
	}
}

func (w *world) pass(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		w.tickUpTo(time.Until(end))
	}
}

func (w *world) dump() string {
	var b strings.Builder
	var claims v1alpha1.NodeClaimList
	w.must(w.admin.List(w.ctx, &claims))
	for _, c := range claims.Items {
		fmt.Fprintf(&b, "claim %s deleting=%v retire=%+v\n", c.Name, c.DeletionTimestamp != nil, c.Status.Retire)
		for _, cond := range c.Status.Conditions {
			fmt.Fprintf(&b, "  %s=%s %s: %s\n", cond.Type, cond.Status, cond.Reason, cond.Message)
		}
	}
	for _, m := range w.cloud.Machines() {
		fmt.Fprintf(&b, "machine %s %s token=%s\n", m.ID, m.State, m.Token)
	}
	return b.String() + strings.Join(w.events, "\n")
}

func (w *world) pods() []corev1.Pod {
	var pods corev1.PodList
	w.must(w.admin.List(w.ctx, &pods))
	return pods.Items
}

// create makes a claim for one of the given types.
func (w *world) create(name string, gpus int32, kinds ...string) {
	c := &v1alpha1.NodeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), CreationTimestamp: metav1.Now()},
		Spec: v1alpha1.NodeClaimSpec{
			Provisioner: "gpu", NodeClassRef: v1alpha1.NodeClassRef{Name: "default"}, Market: string(cloud.Spot), GPUs: gpus,
			Labels: map[string]string{"team": "vision", "topology.kubernetes.io/custom": "x"}, Annotations: map[string]string{"note": "hello"},
			Taints:        []corev1.Taint{{Key: "gpu", Value: "only", Effect: corev1.TaintEffectNoSchedule}},
			StartupTaints: []corev1.Taint{{Key: "cni", Effect: corev1.TaintEffectNoSchedule}},
			Debit: corev1.ResourceList{v1alpha1.LimitGPU: resource.MustParse("8"), v1alpha1.LimitNodes: resource.MustParse("1"),
				v1alpha1.LimitCostPerHour: resource.MustParse("1"), corev1.ResourceCPU: resource.MustParse("64"), corev1.ResourceMemory: resource.MustParse("500Gi")},
		},
	}
	for _, kind := range kinds {
		for _, zone := range []string{"us-east-1a", "us-east-1b"} {
			c.Spec.Choices = append(c.Spec.Choices, v1alpha1.InstanceChoice{InstanceType: kind, Zone: zone, PricePerHour: "0.20"})
		}
	}
	// As the grow loop does: the process that creates a claim knows that nobody has launched it. A reconciler after a crash does not.
	w.r.Created(name)
	w.must(w.admin.Create(w.ctx, c))
}

func (w *world) get(name string) *v1alpha1.NodeClaim {
	c := &v1alpha1.NodeClaim{}
	if err := w.admin.Get(w.ctx, client.ObjectKey{Name: name}, c); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) node(c *v1alpha1.NodeClaim) *corev1.Node {
	n := &corev1.Node{}
	if err := w.admin.Get(w.ctx, client.ObjectKey{Name: c.Status.NodeName}, n); err != nil {
		return nil
	}
	return n
}

func (w *world) is(name, condition string) func() bool {
	return func() bool {
		c := w.get(name)
		return c != nil && meta.IsStatusConditionTrue(c.Status.Conditions, condition)
	}
}

func (w *world) gone(name string) func() bool { return func() bool { return w.get(name) == nil } }

// dropTaint is what the owner of a startup taint does.
func (w *world) dropTaint(node, key string) {
	w.updateNode(node, func(n *corev1.Node) {
		n.Spec.Taints = slices.DeleteFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == key })
	})
}

// ready brings a claim to Ready, with the CNI doing its part.
func (w *world) ready(names ...string) {
	w.t.Helper()
	w.run("ready", 10*time.Minute, func() bool {
		w.cni()
		return !slices.ContainsFunc(names, func(n string) bool { return !w.is(n, v1alpha1.ConditionReady)() })
	})
}

func (w *world) cni() {
	var nodes corev1.NodeList
	w.must(w.admin.List(w.ctx, &nodes))
	for _, n := range nodes.Items {
		if slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == "cni" }) {
			w.dropTaint(n.Name, "cni")
		}
	}
}

// retire marks a claim as the loops that decide do.
func (w *world) retire(name string, reason v1alpha1.RetireReason, deadline time.Time) {
	c := w.get(name)
	before := c.DeepCopy()
	c.Status.Retire = &v1alpha1.Retirement{Reason: reason, Message: "because", Since: metav1.Now()}
	if !deadline.IsZero() {
		c.Status.Retire.Deadline = &metav1.Time{Time: deadline}
	}
	w.must(w.admin.Status().Patch(w.ctx, c, client.MergeFrom(before)))
}

func (w *world) remove(name string) { w.must(w.admin.Delete(w.ctx, w.get(name))) }

type podOption func(*corev1.Pod)

func withGPU(p *corev1.Pod) {
	p.Spec.Containers[0].Resources.Limits = corev1.ResourceList{v1alpha1.ResourceGPU: resource.MustParse("1")}
}

func annotated(key string) podOption {
	return func(p *corev1.Pod) { p.Annotations = map[string]string{key: "true"} }
}

func withGrace(seconds int64) podOption {
	return func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = &seconds }
}

func ofDaemonSet(p *corev1.Pod) {
	yes := true
	p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "DaemonSet", Name: "plugin", UID: "ds", Controller: &yes}}
}

// bind puts a running pod on a claim's node.
func (w *world) bind(name, claimName string, opts ...podOption) {
	w.t.Helper()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID("pod-" + name)},
		Spec:       corev1.PodSpec{NodeName: w.get(claimName).Status.NodeName, Containers: []corev1.Container{{Name: "main", Image: "train"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning},
	}
	withGrace(30)(p)
	for _, o := range opts {
		o(p)
	}
	w.must(w.admin.Create(w.ctx, p))
}

func (w *world) running(name string) bool {
	return slices.ContainsFunc(w.pods(), func(p corev1.Pod) bool { return p.Name == name && p.Status.Phase == corev1.PodRunning })
}

// finish ends a pod by itself.
func (w *world) finish(name string) {
	p := &corev1.Pod{}
	w.must(w.admin.Get(w.ctx, client.ObjectKey{Namespace: "default", Name: name}, p))
	p.Status.Phase = corev1.PodSucceeded
	w.must(w.admin.Status().Update(w.ctx, p))
}

// alive answers the machines that run.
func (w *world) alive() int {
	n := 0
	for _, m := range w.cloud.Machines() {
		if m.Alive() {
			n++
		}
	}
	return n
}

func (w *world) inject(line string) {
	w.t.Helper()
	f, err := sim.ParseLine(line)
	w.must(err)
	w.cloud.Inject(f)
}

// check fails on broken invariants.
func (w *world) check() {
	w.t.Helper()
	if len(w.problems) > 0 {
		w.t.Fatalf("%s\n%s", strings.Join(w.problems, "\n"), w.dump())
	}
}

func (w *world) injectAll(script string) {
	w.t.Helper()
	for line := range strings.SplitSeq(script, "\n") {
		w.inject(line)
	}
}
