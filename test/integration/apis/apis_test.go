// Package apis_test asks a real API server what it thinks of the CRDs: which manifests it refuses, in which words, which it accepts, and
// whether a v1alpha5 manifest is carried over by the running reconciler, also when its CRD is installed later.
//
// The manifests are those of pkg/apis/crds/testdata, which the fast tests there ask the server's code without a server.
package apis_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	clientdiscovery "k8s.io/client-go/discovery"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/pkg/apis/crds"
	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/carryover"
	"github.com/slipway-sh/slipway/test/cluster"
)

const testdata = "../../../pkg/apis/crds/testdata/"

// designManifest is the one that the design promises to accept unchanged.
const designManifest = `
apiVersion: karpenter.sh/v1alpha5
kind: Provisioner
metadata: {name: gpu}
spec:
  requirements:
    - {key: "karpenter.k8s.aws/instance-category", operator: In, values: ["g4dn", "p3"]}
    - {key: "karpenter.sh/capacity-type", operator: In, values: ["spot"]}
  limits: {resources: {gpu: 100}}
`

// TestAPIs asks everything of one control plane, since starting one takes seconds.
func TestAPIs(t *testing.T) {
	c, err := cluster.Start(t.Context(), cluster.Options{Output: t.Output(), Without: []cluster.Component{cluster.Scheduler}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	if err := cluster.ApplyManifests(t.Context(), c.Config, crds.Native()...); err != nil {
		t.Fatal(err)
	}
	installKarpenter(t, c)
	w := world{Client: clientFor(t, c)}
	t.Run("refused", w.refused)
	t.Run("accepted", w.accepted)
	t.Run("a claim is immutable", w.immutable)
	heard := runReconciler(t, c)
	t.Run("the design's manifest is carried over", func(t *testing.T) { w.carriedOver(t, c) })
	t.Run("a stranger's Provisioner is left alone", w.stranger)
	t.Run("what Karpenter left behind is named", func(t *testing.T) { w.deadWebhooks(t, heard) })
	t.Run("what is imported is accepted", func(t *testing.T) { w.imported(t, c) })
}

// installKarpenter installs the optional CRD, and checks that Served notices.
func installKarpenter(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	discovery, err := clientdiscovery.NewDiscoveryClientForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	if served, err := carryover.Served(discovery); served || err != nil {
		t.Fatalf("before the CRD is there, Served = %t, %v", served, err)
	}
	if err := cluster.ApplyManifests(t.Context(), c.Config, crds.Karpenter()); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if served, err := carryover.Served(discovery); !served || err != nil {
			return fmt.Errorf("with the CRD, Served = %t, %w", served, err)
		}
		return nil
	})
}

func scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, karpenterv1alpha5.AddToScheme, corev1.AddToScheme,
		admissionregistrationv1.AddToScheme} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func clientFor(t *testing.T, c *cluster.Cluster) client.Client {
	t.Helper()
	answer, err := client.New(c.Config, client.Options{Scheme: scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// runReconciler runs the reconciler as the product does, until the test ends, and answers what it tells users by events.
func runReconciler(t *testing.T, c *cluster.Cluster) *heard {
	t.Helper()
	ctrl.SetLogger(logr.Discard()) // else controller-runtime complains of having none
	mgr, err := ctrl.NewManager(c.Config, ctrl.Options{Scheme: scheme(t), Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatal(err)
	}
	heard := &heard{}
	if err := (&carryover.Reconciler{Client: mgr.GetClient(), Events: heard}).SetupWithManager(mgr); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return heard
}

// eventually tries until it is true or half a minute has passed.
func eventually(t *testing.T, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for err := try(); err != nil; err = try() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within half a minute: %v", err)
		case <-tick.C:
		}
	}
}

// document is one of testdata, with what its comments say of it.
type document struct {
	name   string
	want   []string
	object *unstructured.Unstructured
}

func documents(t *testing.T, file string) []document {
	t.Helper()
	raw, err := os.ReadFile(testdata + file)
	if err != nil {
		t.Fatal(err)
	}
	var list []document
	for _, text := range bytes.Split(raw, []byte("\n---\n"))[1:] {
		d := document{object: parse(t, text)}
		for line := range strings.Lines(string(text)) {
			if name, ok := strings.CutPrefix(line, "# case: "); ok {
				d.name = strings.TrimSpace(name)
			}
			if want, ok := strings.CutPrefix(line, "# want: "); ok {
				d.want = append(d.want, strings.TrimSpace(want))
			}
		}
		list = append(list, d)
	}
	return list
}

func parse(t *testing.T, text []byte) *unstructured.Unstructured {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(asJSON); err != nil {
		t.Fatal(err)
	}
	return object
}

// world is the API server.
type world struct{ client.Client }

func (w world) refused(t *testing.T) {
	list := documents(t, "refused.yaml")
	if len(list) < 100 {
		t.Errorf("only %d manifests were read", len(list))
	}
	for _, tc := range list {
		t.Run(tc.name, func(t *testing.T) {
			err := w.Create(t.Context(), tc.object, client.DryRunAll)
			if !apierrors.IsInvalid(err) {
				t.Fatalf("it was not refused as invalid: %v", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("refused without saying %q:\n%v", want, err)
				}
			}
		})
	}
}

func (w world) accepted(t *testing.T) {
	for _, tc := range documents(t, "accepted.yaml") {
		t.Run(tc.name, func(t *testing.T) {
			if err := w.Create(t.Context(), tc.object, client.DryRunAll); err != nil {
				t.Error(err)
			}
		})
	}
}

func (w world) immutable(t *testing.T) {
	for _, d := range documents(t, "accepted.yaml") {
		if d.object.GetKind() != "NodeClaim" {
			continue
		}
		if err := w.Create(t.Context(), d.object); err != nil {
			t.Fatal(err)
		}
		if err := unstructured.SetNestedField(d.object.Object, int64(8), "spec", "gpus"); err != nil {
			t.Fatal(err)
		}
		err := w.Update(t.Context(), d.object)
		if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec is immutable: delete the NodeClaim") {
			t.Errorf("changing gpus, got %v", err)
		}
	}
}

func (w world) carriedOver(t *testing.T, c *cluster.Cluster) {
	if err := cluster.ApplyManifests(t.Context(), c.Config, []byte(designManifest)); err != nil {
		t.Fatal(err)
	}
	var original karpenterv1alpha5.Provisioner
	var native v1alpha1.Provisioner
	key := client.ObjectKey{Name: "gpu"}
	eventually(t, func() error {
		if err := w.Get(t.Context(), key, &original); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(original.Status.Conditions, v1alpha1.ConditionCarriedOver) {
			return fmt.Errorf("conditions are %+v", original.Status.Conditions)
		}
		return w.Get(t.Context(), key, &native)
	})
	want, _ := carryover.Carry(&original)
	if diff := cmp.Diff(want.Spec, native.Spec, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the native Provisioner, as the server returns it (-want +got):\n%s", diff)
	}
	if err := w.Delete(t.Context(), &original); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if err := w.Get(t.Context(), key, &native); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the original is deleted and the native one is still there: %w", err)
		}
		return nil
	})
}

func (w world) stranger(t *testing.T) {
	native := &v1alpha1.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: "taken"}, Spec: v1alpha1.ProvisionerSpec{
		NodeClassRef: v1alpha1.NodeClassRef{Name: "mine"}, Weight: 42}}
	if err := w.Create(t.Context(), native); err != nil {
		t.Fatal(err)
	}
	original := &karpenterv1alpha5.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: "taken"}}
	if err := w.Create(t.Context(), original); err != nil {
		t.Fatal(err)
	}
	wantReason := func(want v1alpha1.Reason) func() error {
		return func() error {
			if err := w.Get(t.Context(), client.ObjectKeyFromObject(original), original); err != nil {
				return err
			}
			got := meta.FindStatusCondition(original.Status.Conditions, v1alpha1.ConditionCarriedOver)
			if got == nil || got.Reason != string(want) {
				return fmt.Errorf("CarriedOver is %+v, want reason %s", got, want)
			}
			return nil
		}
	}
	eventually(t, wantReason(v1alpha1.ReasonNameTaken))
	if err := w.Get(t.Context(), client.ObjectKeyFromObject(native), native); err != nil || native.Spec.Weight != 42 {
		t.Errorf("the stranger's weight is %d, %v", native.Spec.Weight, err)
	}
	if err := w.Delete(t.Context(), native); err != nil {
		t.Fatal(err)
	}
	eventually(t, wantReason(v1alpha1.ReasonOK))
}
