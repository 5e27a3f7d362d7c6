package carryover

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// outcome is what a golden file holds after its first document.
type outcome struct {
	Native     v1alpha1.Provisioner `json:"native"`
	NotCarried []NotCarried         `json:"notCarried,omitempty"`
}

// Each file of testdata is a v1alpha5 Provisioner, a line ---, and what it is carried into.
func TestCarryGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			before, want, _ := strings.Cut(string(raw), "\n---\n")
			var in karpenterv1alpha5.Provisioner
			if err := yaml.UnmarshalStrict([]byte(before), &in); err != nil {
				t.Fatal(err)
			}
			untouched := in.DeepCopy()
			native, lost := Carry(&in)
			got, err := yaml.Marshal(outcome{Native: native, NotCarried: lost})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(untouched, &in); diff != "" {
				t.Errorf("Carry changed what it was given (-before +after):\n%s", diff)
			}
			if *update {
				if err := os.WriteFile(path, []byte(before+"\n---\n"+string(got)), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Errorf("Carry (-want +got), -update rewrites:\n%s", diff)
			}
		})
	}
}
