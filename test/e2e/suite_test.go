package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/slipway-sh/slipway/test/cluster/program"
	"github.com/slipway-sh/slipway/test/stage"
	"github.com/slipway-sh/slipway/test/witness"
)

// quick makes the machines' lives short, and spreads launches over a second or two so that a controller can be killed in the middle.
var quick = []string{
	"--boot", "300ms-800ms", "--join", "300ms-800ms", "--gpu-delay", "300ms-800ms", "--visible", "500ms-1s", "--shutdown", "1500ms-2s",
	"--pod-start", "200ms", "--pod-stop", "300ms", "--fleet-time", "500ms-2500ms",
}

// soon is how long a story waits for what should come: a test machine is slow and shared, and a scheduler may back off for ten seconds.
const soon = 2 * time.Minute

// site is a cluster in which Slipway is installed.
type site struct {
	Cluster
	*witness.World
	root string
	helm Helm
	kube kubernetes.Interface
	// before is every object that was there before Slipway.
	before map[string]bool
}

// story is a story on a site.
type story struct {
	*witness.Story
	site *site
	kube kubernetes.Interface
}

// TestMain keeps the libraries' own words out of the stories'.
func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// TestE2E tells all stories on one cluster: first those that mind their own business, at the same time; then those that the whole cluster
// lives through; last, what is left when Slipway goes.
func TestE2E(t *testing.T) {
	w := open(t)
	if !w.tell(t, "install", (*story).install) {
		w.told(t, "install", (*story).install) // whatever -run chooses stands on it
	}
	w.watch(t)
	if !w.tell(t, "alone", (*story).alone) {
		w.told(t, "settings", (*story).settings)
	}
	w.tell(t, "preflight", (*story).preflight)
	t.Run("together", func(t *testing.T) {
		for name, tell := range map[string]func(*story){
			"gpu":      (*story).oldManifest,
			"scale":    (*story).scaleUpAndToZero,
			"job":      (*story).jobOfFour,
			"limit":    (*story).heldAtTheLimit,
			"spot":     (*story).spotInterruption,
			"stockout": (*story).stockout,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w.told(t, name, tell)
			})
		}
	})
	w.tell(t, "previous", (*story).previous)
	w.tell(t, "upgrade", (*story).upgrade)
	w.tell(t, "crashes", (*story).crashes)
	w.tell(t, "uninstall", (*story).uninstall)
	w.tell(t, "always", func(s *story) { w.World.Always(s.T) })
}

// open starts a cluster; what is there is kept if the test fails.
func open(t *testing.T) *site {
	t.Helper()
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(out(root)); err != nil { // what an earlier run has left would mislead
		t.Fatal(err)
	}
	ctx := context.WithoutCancel(t.Context()) // cleanups run when the test's context has ended
	c, err := Open(ctx, os.Getenv("E2E_CLUSTER"), Options{Root: root, Out: out(root), FakeAWS: quick, Previous: os.Getenv("E2E_PREVIOUS"), Keep: os.Getenv("E2E_KEEP") == "1", Say: func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, format+"\n", args...)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &site{Cluster: c, root: root, helm: Helm{Kubeconfig: c.Kubeconfig()}}
	if w.kube, err = kubernetes.NewForConfig(c.Config()); err != nil {
		t.Fatal(err)
	}
	if w.before, err = objects(ctx, c.Config()); err != nil {
		t.Fatal(err)
	}
	return w
}

// out is where failures leave what is known of them.
func out(root string) string { return filepath.Join(root, "test", "e2e", "out") }

// watch begins to record what happens, with the example's EC2NodeClass there.
func (w *site) watch(t *testing.T) {
	t.Helper()
	var err error
	if w.World, err = witness.Watch(t, w.Cluster.Config(), w.Cluster.AWS()); err != nil {
		t.Fatal(err)
	}
	w.Apply(t, example(t, "ec2nodeclass.yaml"))
}

// example answers a manifest of examples/.
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

// chart is the one of this tree.
func (w *site) chart() string { return filepath.Join(w.root, "charts", "slipway") }

// values are what a user gives the chart, and where AWS is: nowhere but in fakeaws.
func (w *site) values() map[string]any {
	repository, tag := w.Image()
	return map[string]any{
		"clusterName": stage.ClusterName, "interruptionQueue": stage.QueueName,
		"image":       map[string]any{"repository": repository, "tag": tag, "pullPolicy": "Never"},
		"recordViews": map[string]any{"enabled": true},
		// A pod is stopped by force 5 s before the margin: 15 s after EC2's notice, which comes two minutes ahead.
		"extraArgs": []any{"--fence-settle=1s", "--notice-margin=100s"},
		"extraEnv": []any{
			map[string]any{"name": "AWS_REGION", "value": stage.Region}, // as EKS does for pods with a role
			map[string]any{"name": "AWS_ENDPOINT_URL", "value": w.Endpoint()},
			map[string]any{"name": "AWS_ACCESS_KEY_ID", "value": "demo"},
			map[string]any{"name": "AWS_SECRET_ACCESS_KEY", "value": "demo"},
		},
		"networkPolicy": map[string]any{"extraEgress": []any{map[string]any{"to": []any{map[string]any{"namespaceSelector": map[string]any{
			"matchLabels": map[string]any{"kubernetes.io/metadata.name": "fakeaws"}}}}}}},
	}
}

// tell is a story as a test of its own. It answers whether it was told: -run may leave it out.
func (w *site) tell(t *testing.T, name string, tell func(*story)) bool {
	t.Helper()
	chosen := false
	if !t.Run(name, func(t *testing.T) {
		chosen = true
		w.told(t, name, tell)
	}) {
		t.FailNow()
	}
	return chosen
}

// told tells a story in a namespace of its own, with a Provisioner of its own. If it fails all that is known goes to test/e2e/out.
func (w *site) told(t *testing.T, name string, tell func(*story)) {
	t.Helper()
	began := time.Now()
	t.Cleanup(func() { w.keep(t, name, began) })
	s := &story{Story: &witness.Story{T: t, World: w.World, Title: name, Namespace: "e2e-" + name}, site: w, kube: w.kube}
	if w.World != nil {
		s.Create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.Namespace, Labels: map[string]string{witness.LabelStory: name}}})
	}
	tell(s)
}

// keep leaves what helps to find the cause of a failure.
func (w *site) keep(t *testing.T, name string, began time.Time) {
	if !t.Failed() {
		return
	}
	directory := filepath.Join(out(w.root), name)
	if err := os.MkdirAll(directory, 0o755); err != nil {
		t.Error(err)
		return
	}
	if w.World != nil {
		text := fmt.Sprintf("%s: from %s to %s\n%s", name, witness.Clock(began), witness.Clock(time.Now()), w.Describe(name))
		if err := os.WriteFile(filepath.Join(directory, "story.txt"), []byte(text), 0o644); err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if err := errors.Join(keepObjects(ctx, w.kube, filepath.Join(directory, "objects")), w.Gather(ctx, directory)); err != nil {
		t.Errorf("keeping what is known: %v", err)
	}
	t.Logf("what is known of it is in %s", directory)
}
