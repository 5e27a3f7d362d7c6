package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Whoever adds a word without saying what it means, or says it where the pages do not look, is told so.
func TestUndocumentedIsRefused(t *testing.T) {
	const api = "package v1alpha1\n\nconst Group = \"slipway.sh\"\n\ntype Reason string\n\n"
	for name, tc := range map[string]struct {
		api, provisioner, want string
		page                   func(string) (string, error)
	}{
		"key":    {"// Labels.\nconst (\n\tLabelA = Group + \"/a\" // a\n\tLabelB = Group + \"/b\"\n)\n", "", "LabelB has no comment", labelPage},
		"reason": {"// Why.\nconst (\n\tHeldA Reason = \"A\" // a\n\tHeldB = Reason(HeldA)\n)\n", "", "HeldB has no comment", reasonPage},
		"event":  {"// Events.\nconst EventA = \"A\"\n", "", "EventA has no comment", eventPage},
		"reason elsewhere": {"// Why.\nconst (\n\tHeldA Reason = \"A\" // a\n)\n", "const mine v1alpha1.Reason = \"Mine\" // a comment\n",
			"a reason: declare it", reasonPage},
		"event elsewhere": {"// Why.\nconst (\n\tHeldA Reason = \"A\" // a\n)\n", "func f() { say(corev1.EventTypeNormal, \"Mine\") }\n", `"Mine": declare it`, reasonPage},
		"event of telemetry": {"// Why.\nconst (\n\tHeldA Reason = \"A\" // a\n)\n", "func f() { e.warn(pod, \"Mine\", \"m\") }\n",
			`"Mine": declare it`, reasonPage},
		"nothing": {"", "", "there is no such word", eventPage},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, filepath.Join(root, "pkg", "apis", "v1alpha1"), "a.go", api+tc.api)
			write(t, filepath.Join(root, "pkg", "provisioner"), "a.go", "package provisioner\n\n"+tc.provisioner)
			if _, err := tc.page(root); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("want an error with %q: %v", tc.want, err)
			}
		})
	}
}

func TestMetricWithoutHelpIsRefused(t *testing.T) {
	silent := prometheus.NewCounter(prometheus.CounterOpts{Name: "slipway_silent_total"})
	if _, _, _, err := describe(silent); err == nil {
		t.Error("not noticed")
	}
	name, help, labels, err := describe(prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "a", Help: `says "b", loudly`}, []string{"c", "d"}))
	if err != nil || name != "a" || help != `says "b", loudly` || strings.Join(labels, " ") != "c d" {
		t.Error(name, help, labels, err)
	}
}

// Tables and imports go between their marks, text around them stays, and a page that lost its marks is an error.
func TestMigratePage(t *testing.T) {
	page := "before\n"
	for _, kind := range []string{"Provisioner", "AWSNodeTemplate", "NodePool", "EC2NodeClass", "ClusterConfig", "Nodegroup", "AutoScalingGroup"} {
		page += "<!-- fields of " + kind + " -->\nOUTDATED\n<!-- end -->\nafter " + kind + "\n"
	}
	for _, name := range examples {
		page += "<!-- import of " + name + " -->\nOUTDATED\n<!-- end -->\n"
	}
	once, err := migratePage("../..", page)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(once, "OUTDATED") || !strings.Contains(once, "before\n") || !strings.Contains(once, "after NodePool\n") || !strings.Contains(once, "`spec.weight`") || !strings.Contains(once, "docs/examples/eksctl.yaml: document 1 (ClusterConfig") {
		t.Error(once)
	}
	if twice, err := migratePage("../..", once); err != nil || twice != once {
		t.Error("a second time it is another page", err)
	}
	if _, err := migratePage("../..", strings.Replace(page, "fields of NodePool", "", 1)); err == nil {
		t.Error("lost marks were not noticed")
	}
}
