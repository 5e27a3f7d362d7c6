package crds_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/pkg/apis/crds"
	"github.com/slipway-sh/slipway/pkg/apis/crds/admit"
)

// manifest is a document of testdata with what its comments say of it. test/integration/apis reads the same files.
type manifest struct {
	name   string
	want   []string
	object map[string]any
}

func manifests(t *testing.T, path string) []manifest {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var list []manifest
	for _, document := range bytes.Split(raw, []byte("\n---\n"))[1:] {
		var m manifest
		for line := range strings.Lines(string(document)) {
			if name, ok := strings.CutPrefix(line, "# case: "); ok {
				m.name = strings.TrimSpace(name)
			}
			if want, ok := strings.CutPrefix(line, "# want: "); ok {
				m.want = append(m.want, strings.TrimSpace(want))
			}
		}
		m.object = parse(t, document)
		list = append(list, m)
	}
	return list
}

// parse reads an object as an API server does: whole numbers are int64.
func parse(t *testing.T, document []byte) map[string]any {
	t.Helper()
	text, err := yaml.YAMLToJSON(document)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	return object
}

// definitions by apiVersion and kind.
func definitions(t *testing.T) map[string]*admit.CRD {
	t.Helper()
	list := map[string]*admit.CRD{}
	for kind, raw := range map[string][]byte{
		"slipway.sh/v1alpha1 EC2NodeClass":  crds.Native()[0],
		"slipway.sh/v1alpha1 NodeClaim":     crds.Native()[1],
		"slipway.sh/v1alpha1 Provisioner":   crds.Native()[2],
		"karpenter.sh/v1alpha5 Provisioner": crds.Karpenter(),
	} {
		crd, err := admit.Load(raw)
		if err != nil {
			t.Fatal(err)
		}
		list[kind] = crd
	}
	return list
}

func kindOf(object map[string]any) string {
	return object["apiVersion"].(string) + " " + object["kind"].(string)
}

func TestRefused(t *testing.T) {
	known := definitions(t)
	for _, tc := range manifests(t, "testdata/refused.yaml") {
		t.Run(tc.name, func(t *testing.T) {
			errs := known[kindOf(tc.object)].Create(tc.object)
			if len(errs) == 0 {
				t.Fatal("it was accepted")
			}
			text := errs.ToAggregate().Error()
			for _, want := range tc.want {
				if !strings.Contains(text, want) {
					t.Errorf("refused without saying %q:\n%s", want, text)
				}
			}
			if strings.Contains(text, "evaluating rule") || strings.Contains(text, "no such") {
				t.Errorf("a rule broke:\n%s", text)
			}
		})
	}
}

func TestAccepted(t *testing.T) {
	known := definitions(t)
	for _, tc := range manifests(t, "testdata/accepted.yaml") {
		t.Run(tc.name, func(t *testing.T) {
			if errs := known[kindOf(tc.object)].Create(tc.object); len(errs) > 0 {
				t.Fatal(errs.ToAggregate())
			}
		})
	}
}

func TestClaimIsImmutable(t *testing.T) {
	known := definitions(t)
	list := manifests(t, "testdata/accepted.yaml")
	for _, tc := range list {
		if tc.object["kind"] != "NodeClaim" {
			continue
		}
		crd := known[kindOf(tc.object)]
		text, err := yaml.Marshal(tc.object)
		if err != nil {
			t.Fatal(err)
		}
		same, changed := parse(t, text), parse(t, text)
		changed["spec"].(map[string]any)["gpus"] = int64(8)
		if errs := crd.Update(same, tc.object); len(errs) > 0 {
			t.Errorf("an update that changes nothing: %v", errs.ToAggregate())
		}
		errs := crd.Update(changed, tc.object)
		if len(errs) == 0 || !strings.Contains(errs.ToAggregate().Error(), "spec is immutable: delete the NodeClaim") {
			t.Errorf("changed gpus, got %v", errs.ToAggregate())
		}
	}
}
