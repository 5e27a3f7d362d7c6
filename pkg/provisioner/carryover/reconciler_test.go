package carryover

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

// world is a fake API server with the reconciler before it.
type world struct {
	client.Client
	reconciler *Reconciler
	said       *said
	t          *testing.T
}

func newWorld(t *testing.T, objects ...client.Object) world {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, karpenterv1alpha5.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.Provisioner{}, &karpenterv1alpha5.Provisioner{}).Build()
	w := world{Client: c, said: &said{}, t: t}
	w.reconciler = &Reconciler{Client: c, Events: w.said}
	return w
}

// said is what users were told.
type said struct{ messages []string }

func (s *said) WebhookUnavailable(_ client.Object, message string) {
	s.messages = append(s.messages, message)
}

func (w world) reconcile() {
	w.t.Helper()
	if _, err := w.reconciler.Reconcile(w.t.Context(), ctrl.Request{NamespacedName: types.NamespacedName{Name: "gpu"}}); err != nil {
		w.t.Fatal(err)
	}
}

func (w world) original() *karpenterv1alpha5.Provisioner {
	w.t.Helper()
	var p karpenterv1alpha5.Provisioner
	if err := w.Get(w.t.Context(), client.ObjectKey{Name: "gpu"}, &p); err != nil {
		w.t.Fatal(err)
	}
	return &p
}

// native answers the native Provisioner, nil if there is none.
func (w world) native() *v1alpha1.Provisioner {
	w.t.Helper()
	var p v1alpha1.Provisioner
	err := w.Get(w.t.Context(), client.ObjectKey{Name: "gpu"}, &p)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return &p
}

func (w world) wantCondition(kind string, status metav1.ConditionStatus, reason v1alpha1.Reason, message string) {
	w.t.Helper()
	c := meta.FindStatusCondition(w.original().Status.Conditions, kind)
	if c == nil || c.Status != status || c.Reason != string(reason) || !strings.Contains(c.Message, message) {
		w.t.Errorf("condition %s is %+v, want %s, %s, %q", kind, c, status, reason, message)
	}
}

func design() *karpenterv1alpha5.Provisioner {
	return &karpenterv1alpha5.Provisioner{
		ObjectMeta: metav1.ObjectMeta{Name: "gpu", UID: "original", Generation: 3},
		Spec: karpenterv1alpha5.ProvisionerSpec{
			Requirements: []corev1.NodeSelectorRequirement{
				{Key: "karpenter.k8s.aws/instance-category", Operator: corev1.NodeSelectorOpIn, Values: []string{"g4dn", "p3"}},
				{Key: "karpenter.sh/capacity-type", Operator: corev1.NodeSelectorOpIn, Values: []string{"spot"}},
			},
			Limits: &karpenterv1alpha5.Limits{Resources: corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("100")}},
		},
	}
}

func TestReconcileCreatesOwnsAndReports(t *testing.T) {
	w := newWorld(t, design())
	w.reconcile()
	native := w.native()
	want, _ := Carry(design())
	if diff := cmp.Diff(want.Spec, native.Spec); diff != "" {
		t.Errorf("native spec (-want +got):\n%s", diff)
	}
	if !metav1.IsControlledBy(native, w.original()) || native.Annotations[v1alpha1.AnnotationCarriedFrom] != "gpu" {
		t.Errorf("owners %v, annotations %v", native.OwnerReferences, native.Annotations)
	}
	w.wantCondition(v1alpha1.ConditionCarriedOver, metav1.ConditionTrue, v1alpha1.ReasonOK, "every field")
	w.wantCondition(v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonNotReported, "nothing is known yet")
	if c := meta.FindStatusCondition(w.original().Status.Conditions, v1alpha1.ConditionCarriedOver); c.ObservedGeneration != 3 {
		t.Errorf("observed generation %d, want 3", c.ObservedGeneration)
	}
	before := [2]string{native.ResourceVersion, w.original().ResourceVersion}
	w.reconcile()
	if after := [2]string{w.native().ResourceVersion, w.original().ResourceVersion}; after != before {
		t.Errorf("a second look wrote something: %v, then %v", before, after)
	}
}

func TestReconcileNamesWhatIsLost(t *testing.T) {
	original := design()
	original.Spec.Provider = &runtime.RawExtension{Raw: []byte(`{}`)}
	original.Spec.Consolidation = &karpenterv1alpha5.Consolidation{Enabled: new(true)}
	w := newWorld(t, original)
	w.reconcile()
	for _, field := range []string{"spec.provider: ", "spec.consolidation: "} {
		w.wantCondition(v1alpha1.ConditionCarriedOver, metav1.ConditionFalse, v1alpha1.ReasonNotCarried, field)
	}
}

func TestReconcilePutsChangesBackAndFollowsTheOriginal(t *testing.T) {
	w := newWorld(t, design())
	w.reconcile()
	native := w.native()
	native.Spec.Weight = 7
	native.Annotations["example.com/mine"] = "kept"
	delete(native.Annotations, v1alpha1.AnnotationCarriedFrom)
	if err := w.Update(t.Context(), native); err != nil {
		t.Fatal(err)
	}
	original := w.original()
	original.Spec.TTLSecondsAfterEmpty = new(int64(5))
	if err := w.Update(t.Context(), original); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	native = w.native()
	if native.Spec.Weight != 0 || native.Spec.Disruption.IdleAfter != "5s" {
		t.Errorf("weight %d, idleAfter %s, want 0 and 5s", native.Spec.Weight, native.Spec.Disruption.IdleAfter)
	}
	want := map[string]string{v1alpha1.AnnotationCarriedFrom: "gpu", "example.com/mine": "kept"}
	if diff := cmp.Diff(want, native.Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
}

func TestReconcileLeavesStrangersAlone(t *testing.T) {
	owner := metav1.OwnerReference{APIVersion: "karpenter.sh/v1alpha5", Kind: "Provisioner", Name: "gpu", UID: "former", Controller: new(true)}
	for name, tc := range map[string]struct {
		stranger *v1alpha1.Provisioner
		message  string
	}{
		"made by a person": {&v1alpha1.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: "gpu"}}, "delete it, or give this one another name"},
		"of a former original": {&v1alpha1.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: "gpu",
			OwnerReferences: []metav1.OwnerReference{owner}}}, "is not gone yet: wait"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.stranger.Spec.Weight = 42
			w := newWorld(t, design(), tc.stranger)
			w.reconcile()
			if got := w.native().Spec.Weight; got != 42 {
				t.Errorf("weight %d, want 42", got)
			}
			for _, kind := range []string{v1alpha1.ConditionCarriedOver, v1alpha1.ConditionReady, v1alpha1.ConditionActive} {
				w.wantCondition(kind, metav1.ConditionFalse, v1alpha1.ReasonNameTaken, tc.message)
			}
			if err := w.Delete(t.Context(), w.native()); err != nil {
				t.Fatal(err)
			}
			w.reconcile()
			if !metav1.IsControlledBy(w.native(), w.original()) {
				t.Error("the name is free and was not taken")
			}
			w.wantCondition(v1alpha1.ConditionCarriedOver, metav1.ConditionTrue, v1alpha1.ReasonOK, "")
		})
	}
}

func TestReconcileMirrorsTheNativeStatus(t *testing.T) {
	w := newWorld(t, design())
	w.reconcile()
	native := w.native()
	native.Status.Resources = corev1.ResourceList{"gpu": resource.MustParse("8"), "cpu": resource.MustParse("64")}
	meta.SetStatusCondition(&native.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse,
		Reason: string(v1alpha1.ReasonNodeClassNotReady), Message: "no EC2NodeClass default"})
	if err := w.Status().Update(t.Context(), native); err != nil {
		t.Fatal(err)
	}
	w.reconcile()
	for _, kind := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionActive} {
		w.wantCondition(kind, metav1.ConditionFalse, v1alpha1.ReasonNodeClassNotReady, "no EC2NodeClass default")
	}
	want := corev1.ResourceList{"gpu": resource.MustParse("8"), "nvidia.com/gpu": resource.MustParse("8"), "cpu": resource.MustParse("64")}
	if diff := cmp.Diff(want, w.original().Status.Resources); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
}

func TestReconcileOfWhatIsGone(t *testing.T) {
	w := newWorld(t)
	w.reconcile()
	if w.native() != nil {
		t.Error("a native Provisioner came from nothing")
	}
}

type discovery struct {
	kinds []string
	err   error
}

func (d discovery) ServerResourcesForGroupVersion(string) (*metav1.APIResourceList, error) {
	list := &metav1.APIResourceList{}
	for _, kind := range d.kinds {
		list.APIResources = append(list.APIResources, metav1.APIResource{Kind: kind})
	}
	return list, d.err
}

func TestServed(t *testing.T) {
	unreachable := errors.New("connection refused")
	for name, tc := range map[string]struct {
		discovery discovery
		want      bool
		wantErr   error
	}{
		"served":             {discovery: discovery{kinds: []string{"Provisioner"}}, want: true},
		"another kind":       {discovery: discovery{kinds: []string{"Machine"}}},
		"not installed":      {discovery: discovery{err: apierrors.NewNotFound(schema.GroupResource{}, "")}},
		"nobody to be asked": {discovery: discovery{err: unreachable}, wantErr: unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Served(tc.discovery)
			if got != tc.want || !errors.Is(err, tc.wantErr) {
				t.Errorf("Served = %t, %v, want %t, %v", got, err, tc.want, tc.wantErr)
			}
		})
	}
}
