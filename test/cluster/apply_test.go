package cluster_test

import (
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/slipway-sh/slipway/test/cluster"
)

// boats comes in the wrong order on purpose: objects before their kind, their kind after a namespace that follows.
const boats = `
# A comment, and a document that holds nothing else.
---
apiVersion: test.slipway.sh/v1
kind: Boat
metadata: {name: ada, namespace: harbour}
spec: {masts: 2}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: {name: nowhere}
- apiVersion: v1
  kind: Namespace
  metadata: {name: harbour}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.test.slipway.sh}
spec:
  group: test.slipway.sh
  names: {kind: Boat, plural: boats, singular: boat}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              masts: {type: integer, minimum: 1}
`

func TestApplyManifests(t *testing.T) {
	c := start(t, small)
	ctx := t.Context()
	client, err := dynamic.NewForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	boat := client.Resource(schema.GroupVersionResource{Group: "test.slipway.sh", Version: "v1", Resource: "boats"})
	masts := func() any {
		t.Helper()
		got, err := boat.Namespace("harbour").Get(ctx, "ada", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return got.Object["spec"].(map[string]any)["masts"]
	}
	if err := cluster.ApplyManifests(ctx, c.Config, []byte(boats)); err != nil {
		t.Fatal(err)
	}
	if got := masts(); got != int64(2) {
		t.Errorf("the boat has %v masts, want 2", got)
	}
	if _, err := clientFor(t, c).CoreV1().ConfigMaps("default").Get(ctx, "nowhere", metav1.GetOptions{}); err != nil {
		t.Errorf("an object without a namespace: %v", err)
	}
	changed := strings.Replace(boats, "masts: 2", "masts: 3", 1)
	if err := cluster.ApplyManifests(ctx, c.Config, []byte(changed)); err != nil {
		t.Fatal(err)
	}
	if got := masts(); got != int64(3) {
		t.Errorf("the boat has %v masts after a second time, want 3", got)
	}
	wrong := strings.Replace(boats, "masts: 2", "masts: 0", 1)
	err = cluster.ApplyManifests(ctx, c.Config, []byte(wrong))
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "Boat ada") {
		t.Errorf("an invalid object gave %v", err)
	}
	if err := cluster.ApplyManifests(ctx, c.Config, []byte("a: [")); err == nil {
		t.Error("a text that is no YAML was accepted")
	}
}
