package shrink_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/pkg/cloud/catalogue"
	"github.com/slipway-sh/slipway/pkg/provisioner/act"
	"github.com/slipway-sh/slipway/pkg/provisioner/inventory"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
	"github.com/slipway-sh/slipway/pkg/provisioner/shrink"
)

const settle = 5 * time.Second

// world is a cluster of one ready node with its claim, a clock, and the real mirror, actor and shrink loop. The claim's reconciler is
// played by fence.
type world struct {
	t      *testing.T
	now    time.Time
	client client.WithWatch
	loop   *shrink.Loop
	hidden bool // the caches do not show pods
	// before is called before an effect or a look: mark, release, delete, look.
	before func(step string)
	fail   map[string]error // by step
}

func newWorld(t *testing.T, d v1alpha1.Disruption) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t, now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), before: func(string) {}, fail: map[string]error{}}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.NodeClaim{}).
		WithIndex(&corev1.Pod{}, "spec.nodeName", func(o client.Object) []string { return []string{o.(*corev1.Pod).Spec.NodeName} }).
		WithObjects(w.objects(d)...).Build()
	stepping := interceptor.NewClient(w.client, interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			step := "release"
			if o.(*v1alpha1.NodeClaim).Status.Retire != nil {
				step = "mark"
			}
			w.before(step)
			if err := w.fail[step]; err != nil {
				return err
			}
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			w.before("delete")
			return c.Delete(ctx, o, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			w.before("look")
			if err := w.fail["look"]; err != nil {
				return err
			}
			return c.List(ctx, list, opts...)
		},
	})
	clock := func() time.Time { return w.now }
	prices := inventory.NewCatalogue(w, time.Minute, logr.Discard(), nil)
	if err := prices.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	mirror, err := inventory.New(inventory.Config{Reader: cached{w}, Catalogue: prices, NodeClasses: w, Health: w,
		Orphans: func() []cloud.Instance { return nil }, Region: "us-east-1", Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	actor := act.New(stepping, func(v1alpha1.NodeClaim) {}, func(string) {}, clock)
	w.loop, err = shrink.New(shrink.Config{View: mirror, Retirer: actor, Live: stepping, Now: clock, Log: logr.Discard(),
		Tick: time.Second, Settle: settle})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) objects(d v1alpha1.Disruption) []client.Object {
	free := corev1.ResourceList{"cpu": resource.MustParse("3900m"), "memory": resource.MustParse("14Gi"), "pods": resource.MustParse("29"),
		v1alpha1.ResourceGPU: resource.MustParse("1")}
	return []client.Object{
		&v1alpha1.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}, Spec: v1alpha1.ProvisionerSpec{Disruption: d}},
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", CreationTimestamp: metav1.NewTime(w.now)}, Spec: corev1.NodeSpec{ProviderID: "aws:///i-1"},
			Status: corev1.NodeStatus{Allocatable: free, Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}},
		&v1alpha1.NodeClaim{ObjectMeta: metav1.ObjectMeta{Name: "c1", UID: "uid-c1", Finalizers: []string{v1alpha1.FinalizerInstance}},
			Spec: v1alpha1.NodeClaimSpec{Provisioner: "gpu", GPUs: 1},
			Status: v1alpha1.NodeClaimStatus{ProviderID: "aws:///i-1", NodeName: "n1", InstanceType: "g4dn.xlarge",
				Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}}},
	}
}

// cached is what the manager's cache would answer.
type cached struct{ *world }

// Get is not used by a Mirror.
func (c cached) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return errors.New("unexpected Get")
}

// List leaves pods out while they are hidden.
func (c cached) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	err := c.client.List(ctx, list, opts...)
	if pods, ok := list.(*corev1.PodList); ok && c.hidden {
		pods.Items = nil
	}
	return err
}

// Load is the cloud's catalogue.
func (w *world) Load(context.Context) (cloud.Snapshot, error) {
	facts := catalogue.Embedded()
	kind, _ := facts.Type("g4dn.xlarge")
	key := cloud.OfferingKey{InstanceType: kind.Name, Zone: "us-east-1a", Market: cloud.OnDemand}
	return cloud.Snapshot{Types: []cloud.InstanceType{kind}, Offerings: []cloud.Offering{{OfferingKey: key, PriceMicroUSDPerHour: 526_000}}}, nil
}

// PlanningFacts answers for EC2NodeClasses.
func (w *world) PlanningFacts(string) (inventory.NodeClassFacts, error) {
	return inventory.NodeClassFacts{Zones: []string{"us-east-1a"}, Architectures: []string{"amd64"}, Disk: plan.Disk{RootVolumeGiB: 80}}, nil
}

// OfferingState says that everything is to be had.
func (w *world) OfferingState(cloud.OfferingKey, time.Time) inventory.OfferingState {
	return inventory.OfferingState{Stock: -1}
}

func (w *world) claim() *v1alpha1.NodeClaim {
	w.t.Helper()
	c := &v1alpha1.NodeClaim{}
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Name: "c1"}, c); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// fence does what the claim's reconciler does about a mark: taint and condition on, or off.
func (w *world) fence() {
	w.t.Helper()
	c, n := w.claim(), &corev1.Node{}
	wanted := c.Status.Retire != nil
	if meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionFenced) == wanted {
		return
	}
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Name: "n1"}, n); err != nil {
		w.t.Fatal(err)
	}
	n.Spec.Taints = nil
	status := metav1.ConditionFalse
	if wanted {
		n.Spec.Taints = []corev1.Taint{{Key: v1alpha1.TaintRetiring, Effect: corev1.TaintEffectNoSchedule}}
		status = metav1.ConditionTrue
	}
	meta.SetStatusCondition(&c.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionFenced, Status: status, Reason: "Test",
		LastTransitionTime: metav1.NewTime(w.now)})
	if err := errors.Join(w.client.Update(w.t.Context(), n), w.client.Status().Update(w.t.Context(), c)); err != nil {
		w.t.Fatal(err)
	}
}

// bind puts a pod with a GPU onto the node, whatever its taints say: the scheduler had decided before.
func (w *world) bind() {
	w.t.Helper()
	gpu := corev1.ResourceList{v1alpha1.ResourceGPU: resource.MustParse("1")}
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "train", UID: types.UID("train")},
		Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{Requests: gpu, Limits: gpu}}}}}
	if err := w.client.Create(w.t.Context(), p); err != nil && !apierrors.IsAlreadyExists(err) {
		w.t.Fatal(err)
	}
}

// second lets one second pass: the loop looks, and the claim's reconciler follows.
func (w *world) second() error {
	w.now = w.now.Add(time.Second)
	_, err := w.loop.Once(w.t.Context())
	w.fence()
	return err
}

func (w *world) deleted() bool { return w.claim().DeletionTimestamp != nil }
