package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runImport runs slipway import and answers what it writes and says.
func runImport(t *testing.T, stdin string, args ...string) (out, report string, err error) {
	t.Helper()
	cmd := importCommand()
	var written, said bytes.Buffer
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&written)
	cmd.SetErr(&said)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err = cmd.ExecuteContext(t.Context())
	return written.String(), said.String(), err
}

const examples = "../../docs/examples"

// Files, a directory and stdin give the same; --output-directory has one file for each object, and writes over none.
func TestImportCommand(t *testing.T) {
	file := filepath.Join(examples, "karpenter-v1.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	fromFile, report, err := runImport(t, "", "-f", file)
	if err != nil || !strings.Contains(fromFile, "kind: Provisioner") || !strings.Contains(report, "spec.template.spec.requirements[1].minValues = 2") {
		t.Fatalf("%v\n%s\n%s", err, fromFile, report)
	}
	if fromStdin, _, err := runImport(t, string(text), "-f", "-", "--report", "json"); err != nil || fromStdin != fromFile {
		t.Errorf("from stdin: %v\n%s", err, fromStdin)
	}
	dir := filepath.Join(t.TempDir(), "out")
	if out, report, err := runImport(t, "", "-f", file, "-o", dir, "--report", "none"); err != nil || out+report != "" {
		t.Errorf("into a directory: %v\n%s%s", err, out, report)
	}
	for _, name := range []string{"provisioner-gpu.yaml", "ec2nodeclass-gpu.yaml"} {
		if one, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.Contains(fromFile, string(one)) {
			t.Errorf("%s: %v\n%s", name, err, one)
		}
	}
	if _, _, err := runImport(t, "", "-f", file, "-o", dir); err == nil || !strings.Contains(err.Error(), "empty --output-directory") {
		t.Errorf("files were written over: %v", err)
	}
}

func TestImportNodeGroups(t *testing.T) {
	const group = `{"nodegroup": {"nodegroupName": "gpu", "clusterName": "demo", "instanceTypes": ["g5.xlarge"]}}`
	if out, report, err := runImport(t, group, "--node-groups", "-"); err != nil || !strings.Contains(out, "- g5.xlarge") {
		t.Errorf("%v\n%s\n%s", err, out, report)
	}
}

// What cannot be done says what helps.
func TestImportCommandRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		stdin string
		args  []string
		want  string
	}{
		"no source":     {"", nil, "use --filename, --node-groups or --cluster"},
		"empty":         {"# nothing\n", []string{"-f", "-"}, "there is no object"},
		"no such file":  {"", []string{"-f", "nowhere.yaml"}, "nowhere.yaml"},
		"no such group": {"", []string{"--node-groups", "nowhere.json"}, "nowhere.json"},
		"other report":  {"", []string{"-f", "-", "--report", "xml"}, "use table, json or none"},
		"no cluster":    {"", []string{"--cluster", "--kubeconfig", "nowhere"}, "set --kubeconfig"},
		"wrong field": {"apiVersion: karpenter.sh/v1\nkind: NodePool\nmetadata: {name: a}\nspec: {weight: heavy}\n", []string{"-f", "-"},
			`spec.weight is "heavy": write a whole number`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := runImport(t, tc.stdin, tc.args...); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want an error with %q: %v", tc.want, err)
			}
		})
	}
}
