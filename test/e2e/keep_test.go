package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// A failure's cause is often in what the API server knows: which pod could not be pulled, scheduled or started, and what was said about it.
func TestKeepObjects(t *testing.T) {
	at := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	client := fake.NewClientset(
		&corev1.Pod{ObjectMeta: at(Namespace, "slipway-1")}, &corev1.Pod{ObjectMeta: at("default", "stranger")},
		&corev1.Event{ObjectMeta: at(Namespace, "e"), Message: "Failed to pull image"}, &appsv1.Deployment{ObjectMeta: at(fakeAWS, "fakeaws")})
	directory := filepath.Join(t.TempDir(), "objects")
	if err := keepObjects(t.Context(), client, directory); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{
		"slipway-system-pods.yaml": "slipway-1", "slipway-system-events.yaml": "Failed to pull image", "fakeaws-deployments.yaml": "name: fakeaws",
		"slipway-system-deployments.yaml": "items",
	} {
		text, err := os.ReadFile(filepath.Join(directory, file))
		if err != nil || !strings.Contains(string(text), want) || strings.Contains(string(text), "stranger") {
			t.Errorf("%s: %v\n%s", file, err, text)
		}
	}
}
