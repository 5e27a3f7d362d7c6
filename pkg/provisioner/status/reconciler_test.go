package status_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/status"
	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

// bench is a cluster with one reconciler, and planning that says what it is told to.
type bench struct {
	client.Client
	t        *testing.T
	now      time.Time
	held     int32
	matching int // negative: not known
	writes   int
	events   []string
	reg      *prometheus.Registry
	r        *status.Reconciler
}

func (b *bench) Held(string) int32 { return b.held }

func (b *bench) MatchingTypes(string) (int, bool) { return b.matching, b.matching >= 0 }

func (b *bench) Eventf(_, _ runtime.Object, level, reason, _, note string, args ...any) {
	b.events = append(b.events, level+" "+reason+": "+fmt.Sprintf(note, args...))
}

func newBench(t *testing.T, objects ...client.Object) *bench {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	b := &bench{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), matching: -1, reg: prometheus.NewRegistry()}
	b.Client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.Provisioner{}).
		WithInterceptorFuncs(interceptor.Funcs{SubResourcePatch: func(
			ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption,
		) error {
			b.writes++
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		}}).Build()
	metrics, err := telemetry.New(b.reg)
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return b.now }
	b.r, err = status.New(status.Config{Client: b, Outlook: b, Metrics: metrics, Events: telemetry.NewEvents(b, now), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) reconcile() reconcile.Result {
	b.t.Helper()
	result, err := b.r.Reconcile(b.t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: "gpu"}})
	if err != nil {
		b.t.Fatal(err)
	}
	return result
}

func (b *bench) provisioner() *v1alpha1.Provisioner {
	b.t.Helper()
	var p v1alpha1.Provisioner
	if err := b.Get(b.t.Context(), types.NamespacedName{Name: "gpu"}, &p); err != nil {
		b.t.Fatal(err)
	}
	return &p
}

func (b *bench) ready() string {
	b.t.Helper()
	c := meta.FindStatusCondition(b.provisioner().Status.Conditions, v1alpha1.ConditionReady)
	return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
}

func provisioner() *v1alpha1.Provisioner {
	return &v1alpha1.Provisioner{
		ObjectMeta: metav1.ObjectMeta{Name: "gpu", UID: "uid-gpu", Generation: 3},
		Spec: v1alpha1.ProvisionerSpec{
			NodeClassRef: v1alpha1.NodeClassRef{Name: "default"}, Limits: v1alpha1.Limits{v1alpha1.LimitGPU: resource.MustParse("100")},
		},
	}
}

func nodeClass(conditions ...metav1.Condition) *v1alpha1.EC2NodeClass {
	return &v1alpha1.EC2NodeClass{
		ObjectMeta: metav1.ObjectMeta{Name: "default", Generation: 2}, Status: v1alpha1.EC2NodeClassStatus{Conditions: conditions},
	}
}

func readyClass() *v1alpha1.EC2NodeClass {
	return nodeClass(metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "OK", ObservedGeneration: 2})
}

// claim takes so much; debit is "gpu, dollars, memory".
func claim(name, provisioner, market string, gpus int32, dollars string) *v1alpha1.NodeClaim {
	return &v1alpha1.NodeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.NodeClaimSpec{
			Provisioner: provisioner, Market: market, GPUs: gpus,
			Debit: corev1.ResourceList{
				v1alpha1.LimitGPU: *resource.NewQuantity(int64(gpus), resource.DecimalSI), v1alpha1.LimitNodes: resource.MustParse("1"),
				v1alpha1.LimitCostPerHour: resource.MustParse(dollars), corev1.ResourceMemory: resource.MustParse("16Gi"),
			},
		},
	}
}

func TestTheStatusAddsUpLaunchingRunningAndDrainingNodes(t *testing.T) {
	launching := claim("a", "gpu", "spot", 1, "0.526")
	running := claim("b", "gpu", "spot", 4, "9")
	running.Status.NodeName = "node-b"
	running.Status.Usage = corev1.ResourceList{
		v1alpha1.LimitGPU: resource.MustParse("4"), v1alpha1.LimitCostPerHour: resource.MustParse("3.912001"), corev1.ResourceMemory: resource.MustParse("192Gi"),
	}
	draining := claim("c", "gpu", "on-demand", 8, "0.000001")
	draining.Finalizers = []string{v1alpha1.FinalizerInstance}
	draining.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	draining.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionDrained, Status: metav1.ConditionFalse, Reason: string(v1alpha1.ReasonBlocked)}}
	pod := func(name, node string, phase corev1.PodPhase) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "ml"},
			Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Resources: corev1.ResourceRequirements{
				Requests: corev1.ResourceList{v1alpha1.ResourceGPU: resource.MustParse("3")},
			}}}},
			Status: corev1.PodStatus{Phase: phase},
		}
	}
	b := newBench(t, provisioner(), readyClass(), launching, running, draining, claim("d", "other", "spot", 8, "24.48"),
		pod("train", "node-b", corev1.PodRunning), pod("finished", "node-b", corev1.PodSucceeded), pod("elsewhere", "node-x", corev1.PodRunning))
	b.held, b.matching = 5, 12
	b.reconcile()

	s := b.provisioner().Status
	got := map[string]string{"nodes": fmt.Sprint(s.Nodes), "cost": s.CostPerHour, "held": fmt.Sprint(s.HeldPods), "ready": b.ready()}
	for name, q := range s.Resources {
		got[string(name)] = q.String()
	}
	want := map[string]string{
		"nodes": "3", "cost": "4.438002", "held": "5", "gpu": "13", "memory": "224Gi", "ready": "True OK: 12 instance types can be launched",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	metrics := `# HELP slipway_gpus GPUs: the limit, those that pods on nodes ask for, and the rest of those paid for.
# TYPE slipway_gpus gauge
slipway_gpus{provisioner="gpu",state="idle"} 10
slipway_gpus{provisioner="gpu",state="limit"} 100
slipway_gpus{provisioner="gpu",state="used"} 3
# HELP slipway_nodes Nodes that run, are launching or are draining.
# TYPE slipway_nodes gauge
slipway_nodes{market="on-demand",provisioner="gpu"} 1
slipway_nodes{market="spot",provisioner="gpu"} 2
# HELP slipway_nodes_blocked Nodes that are to go and are kept by a PodDisruptionBudget.
# TYPE slipway_nodes_blocked gauge
slipway_nodes_blocked{provisioner="gpu"} 1
# HELP slipway_cost_dollars_per_hour Price of all nodes that run, are launching or are draining.
# TYPE slipway_cost_dollars_per_hour gauge
slipway_cost_dollars_per_hour{provisioner="gpu"} 4.438002
`
	if err := testutil.GatherAndCompare(b.reg, strings.NewReader(metrics), "slipway_gpus", "slipway_nodes", "slipway_nodes_blocked",
		"slipway_cost_dollars_per_hour"); err != nil {
		t.Error(err)
	}
}

func TestReadyNamesTheFirstObstacle(t *testing.T) {
	bad := metav1.Condition{
		Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Misconfigured", Message: "spec.role: no such role", ObservedGeneration: 2,
	}
	old := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: "OK", ObservedGeneration: 1}
	for name, tc := range map[string]struct {
		class    *v1alpha1.EC2NodeClass
		matching int
		want     string
	}{
		"no class":        {nil, 3, "False NodeClassNotReady: EC2NodeClass default does not exist: create it"},
		"not looked up":   {nodeClass(), 3, "False NodeClassNotReady: EC2NodeClass default has not been looked up yet"},
		"changed since":   {nodeClass(old), 3, "False NodeClassNotReady: EC2NodeClass default has not been looked up yet"},
		"class not ready": {nodeClass(bad), 0, "False NodeClassNotReady: EC2NodeClass default is not ready (Misconfigured): spec.role: no such role"},
		"nothing matches": {readyClass(), 0, "False NoMatchingInstanceTypes: no instance type satisfies spec.requirements"},
		"not planned yet": {readyClass(), -1, "True OK: its EC2NodeClass is ready"},
		"fine":            {readyClass(), 7, "True OK: 7 instance types can be launched"},
	} {
		t.Run(name, func(t *testing.T) {
			objects := []client.Object{provisioner()}
			if tc.class != nil {
				objects = append(objects, tc.class)
			}
			b := newBench(t, objects...)
			b.matching = tc.matching
			b.reconcile()
			if got := b.ready(); !strings.HasPrefix(got, tc.want) {
				t.Errorf("Ready is %q; want %q", got, tc.want)
			}
			if len(b.events) != 1 || b.provisioner().Status.Conditions[0].ObservedGeneration != 3 {
				t.Errorf("events %q, observed generation %d; want one, 3", b.events, b.provisioner().Status.Conditions[0].ObservedGeneration)
			}
		})
	}
}

func TestTheStatusIsWrittenSeldom(t *testing.T) {
	b := newBench(t, provisioner(), readyClass())
	b.reconcile()
	for range 50 {
		b.now = b.now.Add(time.Second)
		b.reconcile()
	}
	if b.writes != 1 {
		t.Errorf("%d writes although nothing changed; want 1", b.writes)
	}
	for i := range 50 { // half a second in which 50 nodes are launched
		if err := b.Create(t.Context(), claim(fmt.Sprint("c-", i), "gpu", "spot", 1, "0.5")); err != nil {
			t.Fatal(err)
		}
		b.now = b.now.Add(10 * time.Millisecond)
		b.reconcile()
	}
	if b.writes != 2 {
		t.Errorf("%d writes for a burst; want one more", b.writes)
	}
	for result := b.reconcile(); b.provisioner().Status.Nodes != 50; result = b.reconcile() {
		if result.RequeueAfter <= 0 || result.RequeueAfter > time.Second {
			t.Fatalf("the rest of the burst is looked at after %s; want within a second", result.RequeueAfter)
		}
		b.now = b.now.Add(result.RequeueAfter)
	}
	b.matching = 0
	b.reconcile()
	if got := b.ready(); !strings.HasPrefix(got, "False NoMatchingInstanceTypes") {
		t.Errorf("Ready is %q; want a change of the condition written at once", got)
	}
}

func TestOtherWritersKeepTheirConditions(t *testing.T) {
	p := provisioner()
	p.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionCarriedOver, Status: metav1.ConditionTrue, Reason: "OK"}}
	b := newBench(t, p, readyClass())
	b.reconcile()
	if meta.FindStatusCondition(b.provisioner().Status.Conditions, v1alpha1.ConditionCarriedOver) == nil {
		t.Error("a condition of somebody else was removed")
	}
}

func TestADeletedProvisionerIsMeasuredUntilItsNodesAreGone(t *testing.T) {
	last := claim("a", "gpu", "spot", 1, "0.526")
	b := newBench(t, last)
	count := func() int {
		t.Helper()
		n, err := testutil.GatherAndCount(b.reg, "slipway_nodes", "slipway_nodes_blocked", "slipway_gpus", "slipway_cost_dollars_per_hour")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if result := b.reconcile(); count() == 0 || result.RequeueAfter == 0 {
		t.Errorf("%d series, looked at again after %s; want the node measured still", count(), result.RequeueAfter)
	}
	if err := b.Delete(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	if result := b.reconcile(); count() != 0 || result.RequeueAfter != 0 {
		t.Errorf("%d series, looked at again after %s; want neither", count(), result.RequeueAfter)
	}
}
