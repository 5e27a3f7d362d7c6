package apis_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/test/cluster"
	"github.com/slipway-sh/slipway/test/cluster/program"
)

// standIn is a CRD that takes any spec, for a kind of Karpenter's: reading it from a cluster needs no more.
func standIn(group, version, kind, plural string) []byte {
	return fmt.Appendf(nil, `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %[4]s.%[1]s, annotations: {api-approved.kubernetes.io: unapproved}}
spec:
  group: %[1]s
  scope: Cluster
  names: {kind: %[3]s, plural: %[4]s}
  versions:
  - name: %[2]s
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`, group, version, kind, plural)
}

// imported follows docs/migrate.md: what `slipway import` writes of a live cluster is accepted, and the old API is left behind without its
// native Provisioner, on which nodes depend, being made anew.
func (w world) imported(t *testing.T, c *cluster.Cluster) {
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	example := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join(root, "docs", "examples", name))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	if err := cluster.ApplyManifests(t.Context(), c.Config,
		standIn("karpenter.sh", "v1", "NodePool", "nodepools"),
		standIn("karpenter.k8s.aws", "v1", "EC2NodeClass", "ec2nodeclasses"),
		standIn("karpenter.k8s.aws", "v1alpha1", "AWSNodeTemplate", "awsnodetemplates"),
		example("karpenter-v1alpha5.yaml"),
		bytes.ReplaceAll(example("karpenter-v1.yaml"), []byte("name: gpu}"), []byte("name: pool}"))); err != nil {
		t.Fatal(err)
	}
	var out, report bytes.Buffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "bin", "slipway"), "import", "--cluster", "--kubeconfig", c.Kubeconfig)
	cmd.Stdout, cmd.Stderr = &out, &report
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &report)
	}
	for _, want := range []string{"cluster (NodePool pool): Provisioner pool", "cluster (EC2NodeClass pool): EC2NodeClass pool",
		"cluster (Provisioner gpu): Provisioner gpu", "cluster (AWSNodeTemplate gpu): EC2NodeClass gpu", "2 Provisioners and 2 EC2NodeClasses"} {
		if !strings.Contains(report.String(), want) {
			t.Errorf("the report has no %q:\n%s", want, &report)
		}
	}
	w.letLaunch(t, "gpu")
	before := w.orphan(t, "gpu")
	if err := cluster.ApplyManifests(t.Context(), c.Config, out.Bytes()); err != nil {
		t.Errorf("the API server does not take what was written: %v\n%s", err, &out)
	}
	var after, pool v1alpha1.Provisioner
	if err := w.Get(t.Context(), client.ObjectKey{Name: "gpu"}, &after); err != nil {
		t.Fatal(err)
	}
	if after.UID != before.UID {
		t.Errorf("Provisioner gpu was made anew: its nodes would have gone")
	}
	if err := w.Get(t.Context(), client.ObjectKey{Name: "pool"}, &pool); err != nil {
		t.Error(err)
	}
}

// letLaunch is step 3 of the guide. Until then nothing is bought for a Provisioner that Karpenter may serve, whatever EC2NodeClass has the name.
func (w world) letLaunch(t *testing.T, name string) {
	t.Helper()
	native, original := &v1alpha1.Provisioner{}, &karpenterv1alpha5.Provisioner{ObjectMeta: metav1.ObjectMeta{Name: name}}
	limit := func(closed bool) func() error {
		return func() error {
			err := w.Get(t.Context(), client.ObjectKeyFromObject(original), native)
			if nodes, limited := native.Spec.Limits[v1alpha1.LimitNodes]; err != nil || closed != (limited && nodes.IsZero()) {
				return fmt.Errorf("its limits are %v, %w", native.Spec.Limits, err)
			}
			return nil
		}
	}
	eventually(t, limit(true))
	patch := fmt.Appendf(nil, `{"spec":{"provider":null,"providerRef":{"kind":"EC2NodeClass","name":%q}}}`, name)
	if err := w.Patch(t.Context(), original, client.RawPatch(types.MergePatchType, patch)); err != nil {
		t.Fatal(err)
	}
	eventually(t, limit(false))
}

// orphan deletes a v1alpha5 Provisioner that is carried over and leaves its native twin, which is answered.
func (w world) orphan(t *testing.T, name string) *v1alpha1.Provisioner {
	t.Helper()
	var original karpenterv1alpha5.Provisioner
	native, key := &v1alpha1.Provisioner{}, client.ObjectKey{Name: name}
	eventually(t, func() error {
		if err := w.Get(t.Context(), key, &original); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(original.Status.Conditions, v1alpha1.ConditionCarriedOver) {
			return fmt.Errorf("conditions are %+v", original.Status.Conditions)
		}
		return w.Get(t.Context(), key, native)
	})
	if err := w.Delete(t.Context(), &original, client.PropagationPolicy(metav1.DeletePropagationOrphan)); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		if err := w.Get(t.Context(), key, &original); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the original is still there: %w", err)
		}
		return nil
	})
	if err := w.Get(t.Context(), key, native); err != nil || len(native.OwnerReferences) > 0 {
		t.Errorf("the native Provisioner went, or is still owned: %v %+v", err, native.OwnerReferences)
	}
	return native
}
