package simulate

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadManifestsRefuses: each error names the document, and the field where there is one.
func TestReadManifestsRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []string
	}{
		"an unknown field":         {pod("a", "1", "  contianers: []\n"), []string{"stdin: document 1 (Pod a)", `unknown field "spec.contianers"`}},
		"a key twice":              {"apiVersion: v1\nkind: Pod\nkind: Pod\n", []string{"stdin: document 1", `key "kind" already set`}},
		"a text for a number":      {"apiVersion: batch/v1\nkind: Job\nmetadata: {name: j, namespace: ml}\nspec: {parallelism: many}\n", []string{"document 1 (Job ml/j)", "parallelism"}},
		"no kind":                  {"metadata: {name: a}\n", []string{"document 1", "apiVersion and kind are required"}},
		"a scalar":                 {"just words\n", []string{"document 1", "no Kubernetes object"}},
		"a list of scalars":        {"- 1\n- 2\n", []string{"document 1", "no Kubernetes object"}},
		"bad YAML":                 {"a: [1\n", []string{"document 1", "did not find expected"}},
		"the second document":      {anyGPU + "---\n# nothing\n---\nkind: Pod\n", []string{"document 3", "apiVersion and kind are required"}},
		"an item of a list":        {"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {nodeNam: n}}\n", []string{"document 1, item 1 (Pod a)", `"spec.nodeNam"`}},
		"a kind that is not there": {"apiVersion: apps/v1\nkind: Deploymnet\nmetadata: {name: d}\n", []string{"(Deploymnet d)", "apps/v1 knows no kind Deploymnet"}},
		"a field of ours":          {"apiVersion: slipway.sh/v1alpha1\nkind: Provisioner\nmetadata: {name: p}\nspec: {limit: {gpu: 1}}\n", []string{"(Provisioner p)", `unknown field "spec.limit"`}},
		"a bad quantity":           {pod("a", "lots", ""), []string{"(Pod a)", "quantities must match"}},
		"JSON that ends early":     {`{"apiVersion":"v1","kind":"Pod"`, []string{"document 1", "unexpected EOF"}},
		"JSON and then rubbish":    {`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n"}} }`, []string{"document 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadManifests([]string{"-"}, strings.NewReader(tc.text))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q: %v", want, err)
				}
			}
		})
	}
}

// All mistakes are told at once, and directories are read at any depth but for hidden files.
func TestReadManifestsOfDirectory(t *testing.T) {
	dir := t.TempDir()
	for file, text := range map[string]string{
		"a.yaml": pod("a", "1", ""), "deep/er/b.yml": pod("b", "1", "") + "---\n" + pod("c", "1", ""), "c.json": `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"n"}}`,
		"notes.txt": "no manifest", ".hidden.yaml": "no manifest", ".git/config.yaml": "no manifest", "named": pod("d", "1", ""),
	} {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	list, err := ReadManifests([]string{dir, filepath.Join(dir, "named")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range list {
		names = append(names, m.Object.GetName())
	}
	if got := strings.Join(names, " "); got != "a n b c d" {
		t.Errorf("read %q", got)
	}
	for _, name := range []string{"x.yaml", "y.yaml"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("kind: Pod"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err = ReadManifests([]string{dir, "/does/not/exist"}, nil); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three errors: %v", err)
	}
}

// TestGatherRefuses what can be read and cannot be.
func TestGatherRefuses(t *testing.T) {
	provisioner := func(spec string) string {
		return "apiVersion: slipway.sh/v1alpha1\nkind: Provisioner\nmetadata: {name: p}\nspec: " + spec + "\n"
	}
	for name, tc := range map[string]struct {
		text string
		want string
	}{
		"twice the same":             {pod("a", "1", "") + "---\n" + pod("a", "2", ""), "document 2 (Pod a): is the same object as stdin: document 1 (Pod a)"},
		"a request over its limit":   {strings.Replace(pod("a", "1", ""), "resources: {", "resources: {requests: {nvidia.com/gpu: 2}, ", 1), "spec.containers[0].resources.requests[nvidia.com/gpu]: 2 is above the limit of 1"},
		"a negative amount":          {pod("a", "-1", ""), "spec.containers[0].resources.limits[nvidia.com/gpu]: -1 is no amount"},
		"no name":                    {"apiVersion: v1\nkind: Pod\nspec: {containers: [{name: c}]}\n", "metadata.name: required"},
		"no container":               {"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", "spec.containers: at least one"},
		"too many pods":              {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {replicas: 2000000000, template: {spec: {containers: [{name: c}]}}}\n", "(Deployment d): it asks for 2000000000 pods"},
		"fewer than no pods":         {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {replicas: -1, template: {spec: {containers: [{name: c}]}}}\n", "it asks for -1 pods"},
		"a limit that nobody counts": {provisioner("{limits: {gpus: 1}}"), "spec.limits[gpus]: limits know"},
		"a negative limit":           {provisioner("{limits: {gpu: -1}}"), "spec.limits[gpu]: must not be negative"},
		"a bad requirement":          {provisioner("{requirements: [{key: a, operator: Gt, values: [x]}]}"), "spec.requirements[0]: a Gt [x] is not valid"},
		"a bad weight":               {provisioner("{weight: 101}"), "spec.weight"},
		"a bad taint":                {provisioner("{template: {taints: [{key: a, effect: Never}]}}"), "spec.template.taints[0]"},
		"two Provisioners in one":    {provisioner("{}") + "---\napiVersion: karpenter.sh/v1alpha5\nkind: Provisioner\nmetadata: {name: p}\nspec: {}\n", "there is a Provisioner.slipway.sh of that name"},
		"a PyTorchJob's field":       {"apiVersion: kubeflow.org/v1\nkind: PyTorchJob\nmetadata: {name: j}\nspec: {pytorchReplicaSpecs: {Worker: {template: {spec: {contianers: []}}}}}\n", `spec.pytorchReplicaSpecs.Worker.template: unknown field "spec.contianers"`},
		"a PyTorchJob's count":       {"apiVersion: kubeflow.org/v1\nkind: PyTorchJob\nmetadata: {name: j}\nspec: {pytorchReplicaSpecs: {Worker: {replicas: x}}}\n", "spec.pytorchReplicaSpecs.Worker.replicas: want a whole number"},
		"a PyTorchJob's form":        {"apiVersion: kubeflow.org/v1\nkind: PyTorchJob\nmetadata: {name: j}\nspec: {pytorchReplicaSpecs: []}\n", "spec.pytorchReplicaSpecs: want an object"},
		"a StatefulSet's template":   {"apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s}\nspec: {template: {}}\n", "its pod template: spec.containers"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Gather(t.Context(), Config{Manifests: read(t, tc.text), Now: noon})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
			if err != nil && !strings.Contains(err.Error(), "stdin: document") {
				t.Errorf("the error does not name the document: %v", err)
			}
		})
	}
}

// FuzzReadManifests: whatever it reads, it does not panic, an error names a document, and what was accepted can be gathered or is refused.
func FuzzReadManifests(f *testing.F) {
	for _, dir := range []string{"../../examples", "../../examples/workloads"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(string(text))
		}
	}
	for kind, spec := range customSpecs {
		f.Add(custom1(kind, spec))
	}
	f.Add(`{"kind":"List","apiVersion":"v1","items":[{"kind":"List","apiVersion":"v1","items":[]},null,1]}`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ReadManifests([]string{"-"}, strings.NewReader(text))
		if err != nil && !strings.Contains(err.Error(), "stdin: document") {
			t.Errorf("the error does not name the document: %v", err)
		}
		if err != nil || len(list) == 0 {
			return
		}
		if !manyPods.MatchString(text) { // what asks for 100,000 pods is slow, not wrong
			_, _ = Gather(t.Context(), Config{Manifests: list, Now: noon})
		}
	})
}

// manyPods is a number that could be a number of pods, in digits or in another of YAML's notations.
var manyPods = regexp.MustCompile(`\d{4}|0[xob]|[eE_]\d`)

func custom1(kind, spec string) string {
	version, kind, _ := strings.Cut(kind, " ")
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: x}\nspec: %s\n", version, kind, spec)
}
