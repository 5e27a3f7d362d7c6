package nominate

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/version"
)

func TestNotHeeded(t *testing.T) {
	for given, want := range map[string]string{
		"v1.37.2": "", "v1.35.0": "", "v1.35.0-eks-1234567": "", "v2.0.0": "",
		"v1.34.9-eks-1234567": "Kubernetes 1.34", "v1.31.14+k3s1": "Kubernetes 1.31",
	} {
		got, err := NotHeeded(&version.Info{GitVersion: given})
		if err != nil || (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, %v; want %q", given, got, err, want)
		}
	}
	if _, err := NotHeeded(&version.Info{GitVersion: "unknown"}); err == nil {
		t.Error("a version that is none is taken for one")
	}
}
