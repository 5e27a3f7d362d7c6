package migrate

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/pkg/apis/crds"
	"github.com/slipway-sh/slipway/pkg/apis/crds/admit"
	"github.com/slipway-sh/slipway/pkg/manifest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// sources are the inputs of testdata.
func sources(t testing.TB) []string {
	t.Helper()
	all, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, file := range all {
		if !strings.HasSuffix(file, ".out.yaml") {
			list = append(list, file)
		}
	}
	if len(list) < 7 {
		t.Fatalf("only %d sources", len(list))
	}
	return list
}

func read(t testing.TB, text []byte) []manifest.Document {
	t.Helper()
	documents, err := manifest.Read([]string{"-"}, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return documents
}

func readFile(t testing.TB, file string) []manifest.Document {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return read(t, text)
}

// Each file of testdata is a source; beside it stand the manifests and the report that it comes to.
func TestImportGolden(t *testing.T) {
	for _, file := range sources(t) {
		name := strings.TrimSuffix(file, ".yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			result, err := Import(readFile(t, file), Config{})
			if err != nil {
				t.Fatal(err)
			}
			admitted(t, &result)
			var manifests, report bytes.Buffer
			if err := result.WriteManifests(&manifests); err != nil {
				t.Fatal(err)
			}
			if err := result.WriteText(&report); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".out.yaml", manifests.String())
			golden(t, name+".report.txt", report.String())
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), -update rewrites:\n%s", file, diff)
	}
}

// definitions are the CRDs that everything must pass.
type definitions struct{ class, provisioner *admit.CRD }

func load(t testing.TB) definitions {
	t.Helper()
	class, err := admit.Load(crds.Native()[0])
	if err != nil {
		t.Fatal(err)
	}
	provisioner, err := admit.Load(crds.Native()[2])
	if err != nil {
		t.Fatal(err)
	}
	return definitions{class, provisioner}
}

// refused answers why the API server would not take what an import made, or nil.
func (d definitions) refused(t interface{ Fatal(...any) }, r *Result) []string {
	files, err := r.Files()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range files {
		var object map[string]any
		text, err := yaml.YAMLToJSON(f.YAML)
		if err != nil {
			t.Fatal(err)
		}
		if err := kjson.UnmarshalCaseSensitivePreserveInts(text, &object); err != nil {
			t.Fatal(err)
		}
		crd := d.provisioner
		if object["kind"] == "EC2NodeClass" {
			crd = d.class
		}
		for _, e := range crd.Create(object) {
			all = append(all, f.Name+": "+e.Error())
		}
	}
	return all
}

func admitted(t testing.TB, r *Result) {
	t.Helper()
	for _, why := range load(t).refused(t, r) {
		t.Error(why)
	}
}

// What names nothing, or says one thing twice, is an error; the rest is imported.
func TestImportRefuses(t *testing.T) {
	const pool = "apiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {name: NAME}\nspec: {template: {spec: {requirements: [{key: karpenter.k8s.aws/instance-family, operator: In, values: [g5]}]}}}\n"
	class := "apiVersion: karpenter.k8s.aws/v1\nkind: EC2NodeClass\nmetadata: {name: a}\nspec: {role: r}\n"
	for name, tc := range map[string]struct{ text, want string }{
		"no name":              {strings.Replace(pool, "NAME", `""`, 1), "metadata.name is required"},
		"a text for a number":  {strings.Replace(pool, "spec: {", "spec: {weight: heavy, ", 1), `spec.weight is "heavy": write a whole number`},
		"two wrong fields":     {strings.Replace(pool, "spec: {", "spec: {weight: heavy, limits: {cpu: 1, memory: lots}, ", 1), `spec.limits.memory is "lots": write a quantity`},
		"unknown operator":     {strings.Replace(pool, "operator: In", "operator: Among", 1), `spec.template.spec.requirements[0].operator is "Among": write one of`},
		"two of one name":      {strings.Replace(pool, "NAME", "a", 1) + "---\n" + strings.Replace(pool, "NAME", "a", 1), "several sources make a Provisioner called a"},
		"two classes":          {class + "---\n" + class, "another class of this name"},
		"a class and a group":  {class + "---\napiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmanagedNodeGroups: [{name: a, instanceType: g5.xlarge}]\n", "several sources make a EC2NodeClass called a"},
		"requirements no list": {"apiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {name: a}\nspec: {template: {spec: {requirements: {}}}}\n", "spec.template.spec.requirements is {}: write a list"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Import(read(t, []byte(tc.text)), Config{}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want an error with %q: %v", tc.want, err)
			}
		})
	}
}

// --all imports what could launch GPUs and names none; --node-role and --cluster-name stand in where a source is silent.
func TestImportConfig(t *testing.T) {
	result, err := Import(readFile(t, "testdata/left_alone.yaml"), Config{All: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Provisioners) != 1 || result.Provisioners[0].Name != "general" || len(result.NodeClasses) != 1 {
		t.Errorf("with All: %d Provisioners, %d EC2NodeClasses", len(result.Provisioners), len(result.NodeClasses))
	}
	for want, c := range map[string]Config{"mine": {NodeRole: "mine", ClusterName: "x"}, "SlipwayNodeRole-x": {ClusterName: "x"}, "SlipwayNodeRole-demo": {}} {
		result, err := Import(readFile(t, "testdata/eksctl.yaml"), c)
		if err != nil {
			t.Fatal(err)
		}
		if got := result.NodeClasses[1].Spec.Role; got != want {
			t.Errorf("role %q, want %q", got, want)
		}
	}
}
