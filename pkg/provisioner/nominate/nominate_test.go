package nominate

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/act"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// world is a cluster in memory with a Nominator at work.
type world struct {
	testing.TB
	client.Client
	nominator *Nominator
	bound     map[string]int // by outcome
	told      []string
	watch     func(before, after *corev1.Pod) // nil: nobody else does
}

func (w *world) Nominated(int, int)                              {}
func (w *world) PodBound(outcome string)                         { w.bound[outcome]++ }
func (w *world) PlanNotFollowed(_ client.Object, message string) { w.told = append(w.told, message) }
func (w *world) pod(name string) *corev1.Pod                     { return read(w, &corev1.Pod{}, "default", name) }
func (w *world) nominated(name string) string                    { return w.pod(name).Status.NominatedNodeName }

// opening has a node opened, which takes no time.
func (w *world) opening(claim, node string) {
	w.Helper()
	called, err := w.nominator.Opening(context.Background(), read(w, &v1alpha1.NodeClaim{}, "", claim), read(w, &corev1.Node{}, "", node), func() error {
		o := read(w, &corev1.Node{}, "", node)
		o.Spec.Unschedulable = false
		return w.Update(context.Background(), o)
	})
	if !called || err != nil {
		w.Errorf("%s is not opened: %v", node, err)
	}
}

func read[T client.Object](w *world, o T, namespace, name string) T {
	w.Helper()
	if err := w.Get(context.Background(), client.ObjectKey{Namespace: namespace, Name: name}, o); err != nil {
		w.Fatal(err)
	}
	return o
}

func newWorld(t testing.TB, off bool, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{TB: t, bound: map[string]int{}}
	w.Client = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&corev1.Pod{}).WithObjects(objects...).
		WithInterceptorFuncs(interceptor.Funcs{
			SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, patch client.Patch,
				options ...client.SubResourcePatchOption) error {
				return w.shown(o, func() error { return c.SubResource(sub).Patch(ctx, o, patch, options...) })
			},
			SubResourceUpdate: func(ctx context.Context, c client.Client, sub string, o client.Object, options ...client.SubResourceUpdateOption) error {
				return w.shown(o, func() error { return c.SubResource(sub).Update(ctx, o, options...) })
			},
		}).Build()
	var err error
	w.nominator, err = New(Config{Cache: w, Writer: act.NewNominations(w, time.Now), Meter: w, Events: w, Log: logr.Discard(), Now: time.Now, Off: off})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if pod, ok := o.(*corev1.Pod); ok {
			w.nominator.Saw(t.Context(), nil, pod)
		}
	}
	return w
}

// shown does something to a pod's status, and has the Nominator told as the cache's handlers do.
func (w *world) shown(o client.Object, do func() error) error {
	before := w.pod(o.GetName())
	err := do()
	if err != nil {
		return err
	}
	after := w.pod(o.GetName())
	if w.watch != nil {
		w.watch(before, after)
	}
	w.nominator.Saw(context.Background(), before, after)
	return nil
}

// drop does what kube-scheduler does after an attempt that failed.
func (w *world) drop(name string) {
	w.Helper()
	pod := w.pod(name)
	pod.Status.NominatedNodeName = ""
	if err := w.Status().Update(context.Background(), pod); err != nil {
		w.Fatal(err)
	}
}

func quantities(cpu, gpus int64) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceCPU: *resource.NewQuantity(cpu, resource.DecimalSI),
		v1alpha1.ResourceGPU: *resource.NewQuantity(gpus, resource.DecimalSI), corev1.ResourcePods: resource.MustParse("20")}
}

func waiting(name string, cpu, gpus int64) *corev1.Pod {
	requests := quantities(cpu, gpus)
	delete(requests, corev1.ResourcePods)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{
			Requests: requests, Limits: corev1.ResourceList{v1alpha1.ResourceGPU: requests[v1alpha1.ResourceGPU]}}}}},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
			Reason: corev1.PodReasonUnschedulable, Message: "0/1 nodes"}}},
	}
}

func node(name string, cpu, gpus int64) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.LabelProvisioner: "gpu"}},
		Status: corev1.NodeStatus{Allocatable: quantities(cpu, gpus)}}
}

func claim(name, node string, pods ...string) *v1alpha1.NodeClaim {
	c := &v1alpha1.NodeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.NodeClaimSpec{Provisioner: "gpu"},
		Status: v1alpha1.NodeClaimStatus{NodeName: node}}
	for _, p := range pods {
		c.Spec.Pods = append(c.Spec.Pods, v1alpha1.PodRef{Namespace: "default", Name: p, UID: types.UID(p)})
	}
	return c
}

// seen answers the View of these pods as they are now, and the given nodes.
func (w *world) seen(nodes []plan.Node, claims []string, pods ...string) plan.View {
	v := plan.View{Now: time.Now(), Nodes: nodes}
	for _, name := range pods {
		p := w.pod(name)
		v.Demands = append(v.Demands, demand.Demand{Key: name, Pods: []demand.Pod{{Namespace: "default", Name: name, UID: p.UID, Nominated: demand.Expected(p)}}})
	}
	for _, name := range claims {
		v.Claims = append(v.Claims, plan.Claim{Object: *claim(name, "")})
	}
	return v
}

// TestLife: from the purchase over a drop to a pod that is held and one that is bound elsewhere.
func TestLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false, waiting("a", 1, 1), waiting("b", 1, 1), waiting("late", 1, 1), node("n1", 8, 4), node("n2", 8, 4),
			claim("c1", "", "a", "b"), &v1alpha1.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}})
		go func() { _ = w.nominator.Start(t.Context()) }()
		w.nominator.Follow(w.seen(nil, []string{"c1"}, "a", "b"), plan.Decision{Create: []v1alpha1.NodeClaim{*claim("c1", "", "a", "b")}})
		// A pod that came later fills the node on its way.
		closed := []plan.Node{{Name: "n1", Claim: "c1"}}
		onItsWay := plan.Decision{Placed: []plan.Placed{{Pod: "a", Claim: "c1"}, {Pod: "b", Claim: "c1"}, {Pod: "late", Claim: "c1"}}}
		w.nominator.Follow(w.seen(closed, []string{"c1"}, "a", "b", "late"), onItsWay)
		synctest.Wait()
		if w.nominated("a") != "" {
			t.Fatal("a pod was nominated to a node that is not about to open")
		}
		w.opening("c1", "n1")
		for _, name := range []string{"a", "b", "late"} {
			if got := w.nominated(name); got != "n1" || demand.Expected(w.pod(name)) != "n1" {
				t.Errorf("%s is nominated to %q when the node opens", name, got)
			}
		}
		// The scheduler's attempt came too early, and a decision does not see the node open yet.
		w.drop("a")
		w.nominator.Follow(w.seen(closed, []string{"c1"}, "a", "b", "late"), onItsWay)
		synctest.Wait()
		if got := w.nominated("a"); got != "n1" {
			t.Errorf("a dropped nomination is %q, want it again", got)
		}
		// b is held, late is to go elsewhere, a is bound elsewhere.
		open := []plan.Node{{Name: "n1", Claim: "c1", Open: true}, {Name: "n2", Open: true}}
		w.nominator.Follow(w.seen(open, []string{"c1"}, "a", "b", "late"), plan.Decision{Placed: []plan.Placed{{Pod: "a", Node: "n1"}, {Pod: "late", Node: "n2"}}})
		synctest.Wait()
		if w.nominated("a") != "n1" || w.nominated("b") != "" || w.nominated("late") != "n2" {
			t.Errorf("a, b, late are nominated to %q, %q, %q", w.nominated("a"), w.nominated("b"), w.nominated("late"))
		}
		if len(w.pod("b").Status.Conditions) != 1 {
			t.Errorf("what was taken back is still marked: %v", w.pod("b").Status.Conditions)
		}
		for name, where := range map[string]string{"a": "n2", "late": "n2"} {
			before := w.pod(name)
			after := before.DeepCopy()
			after.Spec.NodeName = where
			w.nominator.Saw(t.Context(), before, after)
		}
		if w.bound[BoundAsPlanned] != 1 || w.bound[BoundElsewhere] != 1 {
			t.Errorf("bound: %v", w.bound)
		}
	})
}

// TestGivesUp: a scheduler that drops a nomination time and again has its reasons, and a decision does not change that.
func TestGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, false, waiting("a", 1, 1), node("n1", 8, 4))
		go func() { _ = w.nominator.Start(t.Context()) }()
		open := []plan.Node{{Name: "n1", Open: true}}
		placed := plan.Decision{Placed: []plan.Placed{{Pod: "a", Node: "n1"}}}
		for i := range dropsMost {
			w.nominator.Follow(w.seen(open, nil, "a"), placed)
			synctest.Wait()
			if w.nominated("a") != "n1" {
				t.Fatalf("not nominated after %d drops", i)
			}
			w.drop("a")
			synctest.Wait()
		}
		w.nominator.Follow(w.seen(open, nil, "a"), placed)
		synctest.Wait()
		if got := w.nominated("a"); got != "" {
			t.Errorf("nominated to %q after %d drops", got, dropsMost)
		}
	})
}

// TestGivesUp_notBefore: what is dropped while the node is still closed says nothing about the node, and is not written again before it opens.
func TestGivesUp_notBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n1 := node("n1", 8, 4)
		n1.Spec.Unschedulable = true
		w := newWorld(t, false, waiting("a", 1, 1), n1, claim("c1", "n1", "a"))
		go func() { _ = w.nominator.Start(t.Context()) }()
		w.nominator.Follow(w.seen(nil, []string{"c1"}, "a"), plan.Decision{Create: []v1alpha1.NodeClaim{*claim("c1", "n1", "a")}})
		for range 3 * dropsMost {
			w.nominator.prepare(t.Context(), read(w, &v1alpha1.NodeClaim{}, "", "c1"), n1)
			if w.nominated("a") != "n1" {
				t.Fatal("a nomination to a node that is not open yet was given up")
			}
			w.drop("a")
			synctest.Wait()
			if got := w.nominated("a"); got != "" {
				t.Fatalf("nominated to %s, which is closed, as soon as that was dropped", got)
			}
		}
		w.opening("c1", "n1")
		if w.nominated("a") != "n1" {
			t.Error("the node opens without a nomination")
		}
	})
}

// TestLeavesAlone: what has changed since the decision is not written over.
func TestLeavesAlone(t *testing.T) {
	open := []plan.Node{{Name: "n1", Open: true}}
	placed := plan.Decision{Placed: []plan.Placed{{Pod: "a", Node: "n1"}}}
	cases := map[string]struct {
		happens func(*corev1.Pod)
		want    string
	}{
		"it preempts elsewhere": {func(p *corev1.Pod) { p.Status.NominatedNodeName = "n9" }, "n9"},
		"it is bound":           {func(p *corev1.Pod) { p.Spec.NodeName = "n9" }, ""},
		"it is gated":           {func(p *corev1.Pod) { p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "kueue"}} }, ""},
		"it is over":            {func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }, ""},
		"nothing":               {func(*corev1.Pod) {}, "n1"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, false, waiting("a", 1, 1), node("n1", 8, 4))
			w.nominator.Follow(w.seen(open, nil, "a"), placed)
			pod := w.pod("a")
			status := pod.DeepCopy()
			tc.happens(pod)
			tc.happens(status)
			if err := w.Update(t.Context(), pod); err != nil {
				t.Fatal(err)
			}
			status.ResourceVersion = pod.ResourceVersion
			if err := w.Status().Update(t.Context(), status); err != nil {
				t.Fatal(err)
			}
			w.nominator.write(t.Context(), w.nominator.latest)
			if got := w.nominated("a"); got != tc.want {
				t.Errorf("nominated to %q, want %q", got, tc.want)
			}
		})
	}
}

// TestOff: nominations that a former leader has given are taken back, and none is given.
func TestOff(t *testing.T) {
	w := newWorld(t, false, waiting("a", 1, 1), waiting("b", 1, 1), node("n1", 8, 4), claim("c1", "n1", "a", "b"))
	if w.opening("c1", "n1"); w.nominated("a") != "n1" || w.nominated("b") != "n1" {
		t.Fatal("a claim's pods are not nominated before the first decision")
	}
	w.nominator.Off = true
	open := []plan.Node{{Name: "n1", Open: true}}
	w.nominator.Follow(w.seen(open, nil, "a", "b"), plan.Decision{Placed: []plan.Placed{{Pod: "a", Node: "n1"}}})
	w.nominator.write(t.Context(), w.nominator.latest)
	if w.opening("c1", "n1"); w.nominated("a") != "" || w.nominated("b") != "" {
		t.Errorf("nominated to %q and %q", w.nominated("a"), w.nominated("b"))
	}
}

// TestResizedInPlace: a pod that is being made smaller holds what its containers still have.
func TestResizedInPlace(t *testing.T) {
	shrinking := waiting("shrinking", 1, 1)
	shrinking.Spec.NodeName = "n1"
	shrinking.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "c", Resources: &corev1.ResourceRequirements{Requests: quantities(3, 1)}}}
	w := newWorld(t, false, node("n1", 4, 4), shrinking, waiting("large", 2, 1), waiting("small", 1, 1), claim("c1", "n1", "large", "small"))
	w.opening("c1", "n1")
	if w.nominated("large") != "" || w.nominated("small") != "n1" {
		t.Errorf("nominated to %q and %q; one core is left", w.nominated("large"), w.nominated("small"))
	}
}

// TestNeverMoreThanFits: whatever a claim was bought for, only what fits beside the pods that are there is nominated; and all that fits is.
func TestNeverMoreThanFits(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cpu, gpus := rapid.Int64Range(1, 10).Draw(rt, "cpu"), rapid.Int64Range(0, 8).Draw(rt, "gpus")
		objects := []client.Object{node("n1", cpu, gpus)}
		leftCPU, leftGPUs := cpu, gpus // besides the pods that run
		var names []string
		for i := range rapid.IntRange(0, 8).Draw(rt, "pods") {
			asksCPU, asksGPUs := rapid.Int64Range(1, 4).Draw(rt, "podCPU"), rapid.Int64Range(1, 4).Draw(rt, "podGPUs")
			p := waiting(fmt.Sprint("p", i), asksCPU, asksGPUs)
			if asksCPU <= leftCPU && asksGPUs <= leftGPUs && rapid.IntRange(0, 3).Draw(rt, "runs") == 0 {
				p.Spec.NodeName = "n1"
				leftCPU, leftGPUs = leftCPU-asksCPU, leftGPUs-asksGPUs
			}
			objects, names = append(objects, p), append(names, p.Name)
		}
		w := newWorld(t, false, append(objects, claim("c1", "n1", names...))...)
		w.nominator.prepare(context.Background(), read(w, &v1alpha1.NodeClaim{}, "", "c1"), read(w, &corev1.Node{}, "", "n1"))
		if fault := overfull(w, cpu, gpus, names); fault != "" {
			rt.Error(fault)
		}
	})
}

// TestNeverMoreThanFits_catches plants a nomination too many, and one too few.
func TestNeverMoreThanFits_catches(t *testing.T) {
	w := newWorld(t, false, node("n1", 8, 2), waiting("p0", 1, 1), waiting("p1", 1, 1), waiting("p2", 1, 1), claim("c1", "n1", "p0", "p1", "p2"))
	names := []string{"p0", "p1", "p2"}
	w.opening("c1", "n1")
	if fault := overfull(w, 8, 2, names); fault != "" {
		t.Fatal(fault)
	}
	for name, planted := range map[string]act.Nomination{"too many": {Pod: w.pod("p2"), Node: "n1"}, "too few": {Pod: w.pod("p0")}} {
		before := w.pod(planted.Pod.Name).Status
		if _, err := act.NewNominations(w, time.Now).Nominate(t.Context(), []act.Nomination{planted}); err != nil {
			t.Fatal(err)
		}
		if overfull(w, 8, 2, names) == "" {
			t.Errorf("%s: not found", name)
		}
		pod := w.pod(planted.Pod.Name)
		pod.Status = before
		if err := w.Status().Update(t.Context(), pod); err != nil {
			t.Fatal(err)
		}
	}
}

// overfull counts in whole numbers what is on the node and what is nominated to it.
func overfull(w *world, cpu, gpus int64, names []string) string {
	var left []*corev1.Pod
	for _, name := range names {
		p := w.pod(name)
		switch requests := p.Spec.Containers[0].Resources.Requests; {
		case p.Spec.NodeName == "n1", p.Status.NominatedNodeName == "n1":
			cpu, gpus = cpu-requests.Cpu().Value(), gpus-requests.Name(v1alpha1.ResourceGPU, resource.DecimalSI).Value()
		default:
			left = append(left, p)
		}
	}
	if cpu < 0 || gpus < 0 {
		return fmt.Sprintf("%d cores and %d GPUs are left", cpu, gpus)
	}
	for _, p := range left {
		requests := p.Spec.Containers[0].Resources.Requests
		if requests.Cpu().Value() <= cpu && requests.Name(v1alpha1.ResourceGPU, resource.DecimalSI).Value() <= gpus {
			return fmt.Sprintf("pod %s would fit and is not nominated", p.Name)
		}
	}
	return ""
}
