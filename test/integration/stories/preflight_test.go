package stories_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/slipway-sh/slipway/pkg/preflight"
	"github.com/slipway-sh/slipway/test/cluster"
	"github.com/slipway-sh/slipway/test/cluster/program"
	"github.com/slipway-sh/slipway/test/stage"
)

const devicePlugin = `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: nvdp-nvidia-device-plugin, namespace: kube-system}
spec:
  selector: {matchLabels: {app: nvdp}}
  template:
    metadata: {labels: {app: nvdp}}
    spec:
      nodeSelector: {slipway.sh/instance-gpu-manufacturer: nvidia}
      containers: [{name: plugin, image: "nvcr.io/nvidia/k8s-device-plugin:v0.18.0"}]
`

// looker has the controller's rights. It is another account, since what the controller itself is refused fails the stories: it would never ask.
const looker = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: looker, namespace: slipway}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: looker}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: slipway}
subjects: [{kind: ServiceAccount, name: looker, namespace: slipway}]
`

// TestPreflight: the production binary looks with the rights that the controller has, in the cluster and in AWS, before the controller ever ran.
func TestPreflight(t *testing.T) {
	t.Parallel()
	w := open(t, stage.Options{WithoutController: true})
	if err := cluster.ApplyManifests(t.Context(), w.Cluster.Config, []byte(looker)); err != nil {
		t.Fatal(err)
	}
	_, text, err := w.Cluster.KubeconfigForServiceAccount(t.Context(), stage.Namespace, "looker")
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, text, 0o600); err != nil {
		t.Fatal(err)
	}
	found := lookAhead(t, w, kubeconfig)
	if r := found["device plugin"]; r.Status != preflight.Fail || !strings.Contains(r.Remedy, "helm install") {
		t.Errorf("without a device plugin: %+v", r)
	}
	if err := cluster.ApplyManifests(t.Context(), w.Cluster.Config, []byte(devicePlugin)); err != nil {
		t.Fatal(err)
	}
	found = lookAhead(t, w, kubeconfig)
	for check, want := range map[string]preflight.Status{
		"credentials": preflight.OK, "cluster": preflight.OK, "catalogue": preflight.OK, "queue": preflight.OK, "queue policy": preflight.OK,
		"queue rules": preflight.OK, "spot role": preflight.OK, "quota L-DB2E81BA": preflight.OK, "CRDs": preflight.OK, "node class default": preflight.OK,
		"permission ec2:CreateLaunchTemplate for default": preflight.OK, "permission ec2:RunInstances for default": preflight.OK,
		"device plugin": preflight.OK,
		"controller":    preflight.Skip, // it may not list Deployments
	} {
		if got := found[check]; got.Status != want {
			t.Errorf("%s: %+v; want %s", check, got, want)
		}
	}
	for check, r := range found {
		if r.Status == preflight.Fail {
			t.Errorf("%s: %+v", check, r)
		}
	}
}

// lookAhead runs slipway preflight, and answers its results by their check.
func lookAhead(t *testing.T, w *world, kubeconfig string) map[string]preflight.Result {
	t.Helper()
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(root, "bin", "slipway"), "preflight", "--kubeconfig", kubeconfig,
		"--cluster-name", stage.ClusterName, "--interruption-queue", stage.QueueName, "-o", "json")
	cmd.Env = append(os.Environ(), w.Environment()...)
	text, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var answer struct{ Checks []preflight.Result }
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatalf("reading %q: %v", text, err)
	}
	found := map[string]preflight.Result{}
	for _, r := range answer.Checks {
		found[r.Check] = r
	}
	return found
}
