package inventory_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	"github.com/slipway-sh/slipway/pkg/provisioner/inventory"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

var noon = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// world is a cluster in memory, a clock, and the Mirror of both.
type world struct {
	t       *testing.T
	now     time.Time
	client  client.WithWatch
	mirror  *inventory.Mirror
	listing func(client.ObjectList) // called before each list is read
	orphans []cloud.Instance
	health  map[cloud.OfferingKey]inventory.OfferingState
	classes map[string]error // EC2NodeClasses that are not ready
}

func newWorld(t *testing.T) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t, now: noon, listing: func(client.ObjectList) {}, health: map[cloud.OfferingKey]inventory.OfferingState{},
		classes: map[string]error{}}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			err := c.List(ctx, list, opts...)
			w.listing(list)
			return err
		},
	}).Build()
	prices := inventory.NewCatalogue(w, time.Minute, logr.Discard(), nil)
	if err := prices.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	mirror, err := inventory.New(inventory.Config{Reader: w.client, Catalogue: prices, NodeClasses: w, Health: w,
		Orphans: func() []cloud.Instance { return w.orphans }, Region: "us-east-1", Now: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	w.mirror = mirror
	return w
}

// Load is the cloud's catalogue.
func (w *world) Load(context.Context) (cloud.Snapshot, error) {
	facts := catalogue.Embedded()
	return cloud.Snapshot{Types: facts.Types, Offerings: facts.Offerings("us-east-1")}, nil
}

// PlanningFacts answers for EC2NodeClasses.
func (w *world) PlanningFacts(name string) (inventory.NodeClassFacts, error) {
	return inventory.NodeClassFacts{Zones: []string{"us-east-1a"}, Architectures: []string{"amd64"}, Disk: plan.Disk{RootVolumeGiB: 80}}, w.classes[name]
}

// OfferingState answers for pkg/cloud/health.
func (w *world) OfferingState(key cloud.OfferingKey, _ time.Time) inventory.OfferingState {
	if s, ok := w.health[key]; ok {
		return s
	}
	return inventory.OfferingState{Stock: -1}
}

func (w *world) view() plan.View {
	w.t.Helper()
	v, err := w.mirror.View(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func (w *world) after(d time.Duration) plan.View {
	w.t.Helper()
	w.now = w.now.Add(d)
	return w.view()
}

func (w *world) create(objects ...client.Object) {
	w.t.Helper()
	for _, o := range objects {
		if err := w.client.Create(w.t.Context(), o.DeepCopyObject().(client.Object)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// change reads an object, changes it and writes all of it back.
func change[T client.Object](w *world, o T, f func(T)) {
	w.t.Helper()
	if err := w.client.Get(w.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		w.t.Fatal(err)
	}
	f(o)
	whole := o.DeepCopyObject().(client.Object)
	if err := w.client.Update(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
	whole.SetResourceVersion("")
	if err := w.client.Status().Update(w.t.Context(), whole); err != nil && !apierrors.IsNotFound(err) { // claims have no part of their own
		w.t.Fatal(err)
	}
}

func node(v plan.View, name string) plan.Node {
	i := slices.IndexFunc(v.Nodes, func(n plan.Node) bool { return n.Name == name })
	if i < 0 {
		return plan.Node{}
	}
	return v.Nodes[i]
}

// machine is a ready node of a g4dn.xlarge.
func machine(name string, f ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(noon), Labels: map[string]string{"name": name}},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///us-east-1a/i-" + name},
		Status: corev1.NodeStatus{
			Allocatable: quantities("cpu", "3900m", "memory", "14Gi", "pods", "29", "nvidia.com/gpu", "1"),
			Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}
	for _, change := range f {
		change(n)
	}
	return n
}

// claimOf is the claim of a machine, launched and ready.
func claimOf(name string, f ...func(*v1alpha1.NodeClaim)) *v1alpha1.NodeClaim {
	c := &v1alpha1.NodeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "claim-" + name, CreationTimestamp: metav1.NewTime(noon)},
		Spec:       v1alpha1.NodeClaimSpec{Provisioner: "gpu", Market: "spot", GPUs: 1},
		Status: v1alpha1.NodeClaimStatus{ProviderID: "aws:///us-east-1a/i-" + name, InstanceType: "g4dn.xlarge", NodeName: name,
			Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}}},
	}
	for _, change := range f {
		change(c)
	}
	return c
}

// pod asks for one GPU. On no node it waits, and its scheduler has said so at noon.
func pod(name, on string, f ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)},
		Spec: corev1.PodSpec{NodeName: on, Containers: []corev1.Container{{Name: "main", Resources: corev1.ResourceRequirements{
			Requests: quantities("cpu", "1", "memory", "1Gi", "nvidia.com/gpu", "1"), Limits: quantities("nvidia.com/gpu", "1"),
		}}}},
	}
	if on == "" {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse,
			Reason: corev1.PodReasonUnschedulable, Message: "0/1 nodes", LastTransitionTime: metav1.NewTime(noon)}}
	}
	for _, change := range f {
		change(p)
	}
	return p
}

func withoutGPU(p *corev1.Pod) {
	p.Spec.Containers[0].Resources = corev1.ResourceRequirements{Requests: quantities("cpu", "500m")}
}

// using gives a pod the volume of a claim.
func using(claim string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Volumes = []corev1.Volume{{Name: claim, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}}}
	}
}

func controlledBy(kind string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		yes := true
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: kind, Name: "owner", UID: "owner", Controller: &yes}}
	}
}

func quantities(pairs ...string) corev1.ResourceList {
	list := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		list[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return list
}

func provisioner(name, class string) *v1alpha1.Provisioner {
	return &v1alpha1.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha1.ProvisionerSpec{NodeClassRef: v1alpha1.NodeClassRef{Name: class}}}
}

func daemonSet(name string) *appsv1.DaemonSet {
	return &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name}}
}

var errNoSubnet = errors.New("no subnet matches")
