package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/demand"
	"github.com/slipway-sh/slipway/pkg/provisioner/explain"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
	"github.com/slipway-sh/slipway/pkg/provisioner/record"
)

// recordedView writes a View with one pod that waits and no Provisioner, and answers the file.
func recordedView(t *testing.T) string {
	t.Helper()
	v := plan.View{Now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), Region: "us-east-1", Demands: []demand.Demand{{
		Key: "k", Requests: demand.Resources{v1alpha1.ResourceGPU: 1000, corev1.ResourcePods: 1},
		Pods: []demand.Pod{{Namespace: "default", Name: "train", UID: "u", Since: time.Date(2026, 11, 1, 11, 59, 0, 0, time.UTC)}},
	}}}
	r, err := record.Of("test", v, plan.Policy{}, plan.Decision{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "view.json.gz")
	to, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Encode(to); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

func runExplain(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := explainCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// TestExplainRecordedView: the three outputs of a recorded View agree.
func TestExplainRecordedView(t *testing.T) {
	file := recordedView(t)
	text, err := runExplain(t, "pod", "train", "--view", file)
	if err != nil || !strings.Contains(text, "State       held, NoProvisioner") || !strings.Contains(text, "(60s ago)") {
		t.Errorf("%v:\n%s", err, text)
	}
	var fromJSON, fromYAML explain.Pod
	out, err := runExplain(t, "pod", "train", "-o", "json", "--view", file)
	if err != nil || json.Unmarshal([]byte(out), &fromJSON) != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	if out, err = runExplain(t, "pod", "train", "-o", "yaml", "--view", file); err != nil || yaml.Unmarshal([]byte(out), &fromYAML) != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	if fromJSON.Reason != v1alpha1.HeldNoProvisioner || fromYAML.Message != fromJSON.Message || fromJSON.Message == "" {
		t.Errorf("JSON %+v, YAML %+v", fromJSON, fromYAML)
	}
}

// TestExplainRefuses: what cannot be answered says what to do.
func TestExplainRefuses(t *testing.T) {
	file := recordedView(t)
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("HOME", t.TempDir())
	for want, args := range map[string][]string{
		"use text, json or yaml":             {"pod", "train", "-o", "table", "--view", file},
		"default/nobody":                     {"pod", "nobody", "--view", file},
		"node or NodeClaim nothing":          {"node", "nothing", "--view", file},
		"reading a recorded View":            {"pod", "train", "--view", filepath.Join(t.TempDir(), "gone")},
		"set --kubeconfig or --context":      {"node", "n", "--context", "elsewhere"},
		"want one, as in explain pod NAME":   {"pod"},
		"no such file or directory":          {"pod", "x", "--kubeconfig", filepath.Join(t.TempDir(), "gone")},
		"unknown command \"claim\" for \"ex": {"claim", "x"},
	} {
		if out, err := runExplain(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q; output %q", args, err, want, out)
		}
	}
}
