package app

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"k8s.io/apimachinery/pkg/version"

	"github.com/slipway-sh/slipway/pkg/provisioner/telemetry"
)

// TestHeeded: a cluster that is too old is named with the remedy, once; of one that is not, or does not answer, nothing is claimed.
func TestHeeded(t *testing.T) {
	for name, tc := range map[string]struct {
		version string
		err     error
		says    string
		metric  string
	}{
		"old":       {"v1.34.2-eks-1", nil, "Kubernetes 1.34", "0"},
		"new":       {"v1.35.0", nil, "", "1"},
		"no answer": {"", errors.New("refused"), "", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			metrics, err := telemetry.New(registry)
			if err != nil {
				t.Fatal(err)
			}
			var said []string
			a := &assembly{metrics: metrics}
			a.Log = funcr.New(func(_, args string) { said = append(said, args) }, funcr.Options{})
			a.heeded(func() (*version.Info, error) { return &version.Info{GitVersion: tc.version}, tc.err })
			text := strings.Join(said, "\n")
			if tc.says != "" && (len(said) != 1 || !strings.Contains(text, tc.says) || !strings.Contains(text, "docs/scheduling.md")) || strings.Contains(text, "not expected") != (tc.says != "") {
				t.Errorf("said %s", text)
			}
			want := "# HELP slipway_nominations_heeded 0 if the API server is older than Kubernetes 1.35, whose scheduler does not heed nominations by default; else 1.\n" +
				"# TYPE slipway_nominations_heeded gauge\nslipway_nominations_heeded " + tc.metric + "\n"
			if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "slipway_nominations_heeded"); err != nil {
				t.Error(err)
			}
		})
	}
}
