package stories_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/slipway-sh/slipway/test/cluster/program"
	"github.com/slipway-sh/slipway/test/stage"
	"github.com/slipway-sh/slipway/test/witness"
)

// stages bounds how many stages run at once: each is seven processes.
var stages = make(chan struct{}, 2)

// quick makes the machines' lives short.
var quick = []string{
	"--boot", "300ms-800ms", "--join", "300ms-800ms", "--gpu-delay", "300ms-800ms", "--visible", "500ms-1s", "--shutdown", "1500ms-2s",
	"--pod-start", "200ms", "--pod-stop", "300ms",
}

// world is a stage, and everything that was ever seen on it.
type world struct {
	*stage.Stage
	*witness.World
}

// story is a story on a stage.
type story struct {
	*witness.Story
	stage *stage.Stage
}

// begin starts a story; what is there is printed if it fails.
func begin(t *testing.T, w *world, title string) *story {
	t.Helper()
	return &story{Story: witness.Begin(t, w.World, title), stage: w.Stage}
}

// open sets a stage with the examples' EC2NodeClass.
func open(t *testing.T, o stage.Options) *world {
	t.Helper()
	stages <- struct{}{}
	t.Cleanup(func() { <-stages })
	ctx := context.WithoutCancel(t.Context()) // the stage is struck in a cleanup, when the test's context has ended
	o.FakeAWS = append(append([]string{}, quick...), o.FakeAWS...)
	o.Controller = append([]string{"--fence-settle", "1s", "--log-level", "info"}, o.Controller...)
	o.Logs = filepath.Join(t.ArtifactDir(), "logs") // kept with go test -artifacts
	var err error
	if o.Cluster.Flags, err = audited.flags(); err != nil {
		t.Fatal(err)
	}
	s, err := stage.Set(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Strike(); err != nil {
			t.Error(err)
		}
	})
	w := &world{Stage: s}
	if w.World, err = witness.Watch(t, s.Cluster.Config, s.AWS); err != nil {
		t.Fatal(err)
	}
	w.World.Logs = func() string { return s.LastLines(60) }
	w.Apply(t, example(t, "ec2nodeclass.yaml"))
	return w
}

func example(t *testing.T, name string) []byte {
	t.Helper()
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "examples", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

var sample = regexp.MustCompile(`^([a-z_]+)(\{.*\})? (\S+)$`)

// metric answers the sum of a metric's series that have all the given labels, written as in the text format: kind="spot".
func (s *story) metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	all := s.stage.Controllers()
	answer, err := http.Get(all[len(all)-1].MetricsURL)
	if err != nil {
		t.Fatalf("scraping: %v", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("scraping: %v", err)
	}
	sum := 0.0
	for line := range bytes.Lines(text) {
		m := sample.FindStringSubmatch(strings.TrimSpace(string(line)))
		if m == nil || m[1] != name {
			continue
		}
		matches := true
		for _, label := range labels {
			matches = matches && strings.Contains(m[2], label)
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			t.Fatalf("scraping %q: %v", line, err)
		}
		if matches {
			sum += value
		}
	}
	return sum
}
