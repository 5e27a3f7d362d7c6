package simulate

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
	"github.com/slipway-sh/slipway/pkg/provisioner/record"
)

var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 8, 23, 12, 0, 0, 0, time.UTC)

// read parses manifests from text.
func read(t interface{ Fatal(...any) }, texts ...string) []Manifest {
	var all []Manifest
	for _, text := range texts {
		list, err := ReadManifests([]string{"-"}, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, list...)
	}
	return all
}

// gather answers the Scenario of a Config at noon.
func gather(t *testing.T, c Config) Scenario {
	t.Helper()
	c.Now = noon
	s, err := Gather(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func run(t *testing.T, c Config) Result {
	t.Helper()
	r, err := Run(gather(t, c), plan.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// examples are the manifests that the README simulates.
func examples(t *testing.T) []Manifest {
	t.Helper()
	list, err := ReadManifests([]string{"../../examples/workloads", "../../examples/ec2nodeclass.yaml"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (run with -update if it should):\n%s", path, diff)
	}
}

// TestExamples: what the README simulates has a place for every pod but those that the limit holds, and no assumption is hidden.
func TestExamples(t *testing.T) {
	r := run(t, Config{Manifests: examples(t)})
	s := r.Summary
	if s.Pods != 26 || s.OnNewNodes+s.Held != 26 || s.GPUs > 48 || s.GPUsUsed < 40 || s.OnExisting != 0 {
		t.Errorf("summary: %+v", s)
	}
	for _, h := range r.Held {
		if h.Reason != v1alpha1.HeldLimit || h.Message == "" {
			t.Errorf("held: %+v", h)
		}
	}
	pods := 0
	for _, n := range r.Nodes {
		for _, fill := range []Fill{n.CPUMilli, n.MemoryMiB} {
			if fill.Daemons <= 0 || fill.Pods <= 0 || fill.Daemons+fill.Pods > fill.Capacity {
				t.Errorf("%s: fill %+v", n.InstanceType, fill)
			}
		}
		for _, c := range n.Pods {
			pods += c.Pods * n.Copies
		}
	}
	if pods != s.OnNewNodes {
		t.Errorf("%d pods on the nodes, %d in the summary", pods, s.OnNewNodes)
	}
	for _, want := range []string{"EC2NodeClass default: its subnets are in", "The region is us-east-1", "spot prices are estimates", "ServingRuntime"} {
		if !strings.Contains(strings.Join(r.Assumptions, "\n"), want) {
			t.Errorf("%q is not among the assumptions", want)
		}
	}
}

// TestForms shows a Result as text and as JSON. It is read from JSON, so nothing that the solver learns changes it.
func TestForms(t *testing.T) {
	for _, name := range []string{"small", "replay"} {
		t.Run(name, func(t *testing.T) {
			r := readResult(t, name)
			golden(t, name+".json", []byte(marshal(t, r)+"\n"))
			var text bytes.Buffer
			if err := r.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", text.Bytes())
			var page bytes.Buffer
			if err := r.WritePage(&page); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".html", page.Bytes())
		})
	}
}

func readResult(t *testing.T, name string) Result {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var r Result
	if err := decodeStrict(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// pod is a pod that asks for GPUs.
func pod(name string, gpus string, more string) string {
	return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\nspec:\n  containers:\n  - {name: c, resources: {limits: {nvidia.com/gpu: " + gpus + "}}}\n" + more
}

const anyGPU = `apiVersion: slipway.sh/v1alpha1
kind: Provisioner
metadata: {name: gpu}
spec: {}
`

// TestSameManifestsSameResult: the order of files decides nothing, and neither does a second look at the same objects.
func TestSameManifestsSameResult(t *testing.T) {
	list := examples(t)
	want := marshal(t, run(t, Config{Manifests: list}))
	if diff := cmp.Diff(want, marshal(t, run(t, Config{Manifests: list}))); diff != "" {
		t.Errorf("a second look:\n%s", diff)
	}
	rapid.Check(t, func(rt *rapid.T) {
		shuffled := rapid.Permutation(list).Draw(rt, "order")
		if diff := cmp.Diff(want, marshal(rt, run(t, Config{Manifests: shuffled}))); diff != "" {
			rt.Errorf("another order:\n%s", diff)
		}
	})
}

// TestSameManifestsSameResult_catches: one more pod shows.
func TestSameManifestsSameResult_catches(t *testing.T) {
	list := examples(t)
	more := append(slices.Clone(list), read(t, pod("one-more", "1", ""))...)
	if marshal(t, run(t, Config{Manifests: list})) == marshal(t, run(t, Config{Manifests: more})) {
		t.Error("one more pod makes no difference")
	}
}

func marshal(t interface{ Fatal(...any) }, r Result) string {
	out, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestReplayed: a recorded View shows the same nodes as the manifests that it came from, and says so; with a stockout it is not compared.
func TestReplayed(t *testing.T) {
	s := gather(t, Config{Manifests: examples(t)})
	d, err := plan.Grow(s.View, plan.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	directory, err := record.Open(t.TempDir(), record.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	r, err := record.Of("v1", s.View, plan.Policy{}, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	path, err := directory.Write(r)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = record.Read(path); err != nil {
		t.Fatal(err)
	}
	got, err := Replayed(r, Changes{})
	if err != nil {
		t.Fatal(err)
	}
	if !got.Replay.Same || got.Replay.Foreign || got.Replay.Program != "v1" {
		t.Errorf("the replay: %+v", got.Replay)
	}
	want := Describe(s, d)
	if diff := cmp.Diff(want.Summary, got.Summary); diff != "" {
		t.Errorf("the summary of the replay:\n%s", diff)
	}
	without, err := ParsePattern("g5.*/*/spot")
	if err != nil {
		t.Fatal(err)
	}
	changed, err := Replayed(r, Changes{Stockouts: []Pattern{without}})
	if err != nil {
		t.Fatal(err)
	}
	if !changed.Replay.Changed || changed.Summary.CostPerHour == got.Summary.CostPerHour {
		t.Errorf("without g5 on spot: %+v, $%s", changed.Replay, changed.Summary.CostPerHour)
	}
	r.View.Demands = r.View.Demands[1:]
	lost, err := Replayed(r, Changes{})
	if err != nil || lost.Replay.Same || len(lost.Replay.Differences) == 0 {
		t.Errorf("with a demand lost: %v, %+v", err, lost.Replay)
	}
}
