package stories_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-sh/slipway/cmd/fakeaws/wire"
	"github.com/slipway-sh/slipway/pkg/apis/karpenterv1alpha5"
	"github.com/slipway-sh/slipway/pkg/apis/v1alpha1"
	"github.com/slipway-sh/slipway/pkg/cloud"
	"github.com/slipway-sh/slipway/test/cluster"
	"github.com/slipway-sh/slipway/test/cluster/program"
	"github.com/slipway-sh/slipway/test/stage"
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
	client.Client
	*record

	ignoresTokens bool
	spared        spared // machines that went by somebody else's hand
}

// open sets a stage with the examples' EC2NodeClass. What must hold whatever happens is checked at the test's end: see always.
func open(t *testing.T, o stage.Options) *world {
	t.Helper()
	stages <- struct{}{}
	t.Cleanup(func() { <-stages })
	ctx := context.WithoutCancel(t.Context()) // the stage is struck in a cleanup, when the test's context has ended
	o.FakeAWS = append(append([]string{}, quick...), o.FakeAWS...)
	o.Controller = append([]string{"--fence-settle", "1s", "--log-level", "info"}, o.Controller...)
	o.Logs = filepath.Join(t.ArtifactDir(), "logs") // kept with go test -artifacts
	s, err := stage.Set(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Strike(); err != nil {
			t.Error(err)
		}
	})
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, karpenterv1alpha5.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{Stage: s, record: newRecord()}
	if w.Client, err = client.New(s.Cluster.Config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	if err := w.record.watch(t, s.Cluster.Config, scheme); err != nil {
		t.Fatal(err)
	}
	w.apply(t, example(t, "ec2nodeclass.yaml"))
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

func (w *world) apply(t *testing.T, manifest []byte) {
	t.Helper()
	if err := cluster.ApplyManifests(t.Context(), w.Cluster.Config, manifest); err != nil {
		t.Fatal(err)
	}
}

// journal answers what fakeaws knows.
func (w *world) journal(t *testing.T) wire.Journal {
	t.Helper()
	j, err := w.Journal()
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// machines answers every machine that was ever launched for a Provisioner.
func (w *world) machines(t *testing.T, provisioner string) []wire.Instance {
	t.Helper()
	var list []wire.Instance
	for _, i := range w.journal(t).Instances {
		if i.Tags[v1alpha1.LabelProvisioner] == provisioner {
			list = append(list, i)
		}
	}
	return list
}

func alive(list []wire.Instance) []wire.Instance {
	var living []wire.Instance
	for _, i := range list {
		if i.State == string(cloud.InstancePending) || i.State == string(cloud.InstanceRunning) {
			living = append(living, i)
		}
	}
	return living
}

// machine answers one machine by its ID.
func (w *world) machine(t *testing.T, id string) wire.Instance {
	t.Helper()
	for _, i := range w.journal(t).Instances {
		if i.ID == id {
			return i
		}
	}
	t.Fatalf("there never was a machine %s", id)
	return wire.Instance{}
}

var sample = regexp.MustCompile(`^([a-z_]+)(\{.*\})? (\S+)$`)

// metric answers the sum of a metric's series that have all the given labels, written as in the text format: kind="spot".
func (w *world) metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	all := w.Controllers()
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

// eventually polls until ok answers nil, and fails the test with its last answer and everything that helps to find the cause.
func (w *world) eventually(t *testing.T, within time.Duration, what string, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, within, err)
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("%s: %v", what, t.Context().Err())
		case <-tick.C:
		}
	}
}

// clear takes all work away and waits until every machine has gone: what is left is a leak.
func (w *world) clear(t *testing.T) {
	t.Helper()
	w.deleteAll(t)
	w.eventually(t, 90*time.Second, "every claim, node and machine to go", func() error {
		claims, nodes := w.claims(""), w.nodes()
		living := alive(w.journal(t).Instances)
		if len(claims)+len(nodes)+len(living) > 0 {
			return fmt.Errorf("%d claims, %d nodes and %d machines are left", len(claims), len(nodes), len(living))
		}
		return nil
	})
}

// tell prints what is there when a test has failed.
func (w *world) tell(t *testing.T, story string) {
	t.Helper()
	if !t.Failed() {
		return
	}
	t.Log(w.record.tell(story))
	if j, err := w.Journal(); err == nil {
		for _, i := range j.Instances {
			if p := i.Tags[v1alpha1.LabelProvisioner]; story == "" || p == story {
				t.Logf("machine %s %s %s of %s: %s %s, launched %s, shutting down %s, terminated %s, token %s", i.ID, i.PrivateDNS,
					i.InstanceType, p, i.State, i.StateReason, clock(i.LaunchedAt), clock(i.ShuttingDownAt), clock(i.TerminatedAt), i.Token)
			}
		}
	}
	t.Log(w.LastLines(60))
}

func clock(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.Format("15:04:05.000")
}

func gpus(pod *corev1.Pod) int64 {
	sum := int64(0)
	for _, c := range pod.Spec.Containers {
		q := c.Resources.Limits[v1alpha1.ResourceGPU]
		sum += q.Value()
	}
	return sum
}
