// Package stories_test tells what users live through, on the real parts: etcd, kube-apiserver, kube-scheduler, kube-controller-manager,
// the production binary under its own RBAC, and a fake AWS that plays the machines. Stories assert the state of the world: what EC2 was
// asked for, which pods run, what was said about those that do not.
//
// Most stories share a stage, since starting one takes longer than many a story; each has a Provisioner, a label and a taint of its own,
// so that this also shows that no pool waits for another. What must hold whatever happens is checked at the end of each stage: always_test.go.
//
// It needs bin/slipway, bin/fakeaws and bin/controlplane: make build controlplane.
package stories_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/slipway-sh/slipway/test/stage"
)

// TestMain lets all stories of a stage run at once: they wait for servers, not for the CPU. How many stages do is bounded elsewhere.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "32"); err != nil { // -parallel on the command line still wins
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctrllog.SetLogger(logr.Discard())
	os.Exit(run(m))
}

// run judges the controller's rights once everything is told.
func run(m *testing.M) int {
	var err error
	if audited.dir, err = os.MkdirTemp("", "slipway-audit-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer os.RemoveAll(audited.dir)
	code := m.Run()
	if err := leastRights(); err != nil {
		fmt.Fprintf(os.Stderr, "--- FAIL: rights\n%v\n", err)
		return max(code, 1)
	}
	return code
}

// TestRightsCatches: a right that nobody uses is found, and one that is excused is not.
func TestRightsCatches(t *testing.T) {
	pods, nodes, finalizers := right{"", "pods", "list"}, right{"", "nodes", "create"}, right{"karpenter.sh", "provisioners/finalizers", "update"}
	given, asked := map[right]bool{pods: true, nodes: true, finalizers: true}, map[right]bool{pods: true}
	problems := tooMuch(given, asked, unasked)
	if len(problems) != 1 || !strings.Contains(problems[0], nodes.String()) {
		t.Errorf("got %q, want one about %s", problems, nodes)
	}
}

// TestStories tells the stories that need nothing special of their stage.
func TestStories(t *testing.T) {
	t.Parallel()
	views := t.TempDir()
	w := open(t, stage.Options{
		// A pod is stopped by force 5 s before the margin: 15 s after EC2's notice, which comes two minutes ahead.
		Controller: []string{"--notice-margin", "100s", "--ready-deadline", "15s", "--record-views", views},
	})
	t.Run("together", func(t *testing.T) {
		for name, tell := range map[string]func(*story){
			"gpu":         (*story).oldManifest,
			"limit":       (*story).limitIsExact,
			"hand":        (*story).deletedByHand,
			"garbage":     (*story).garbageInTheQueue,
			"spot":        (*story).spotInterruption,
			"late-mark":   func(s *story) { s.podArrivesLate(marked) },
			"late-fence":  func(s *story) { s.podArrivesLate(fenced) },
			"late-delete": func(s *story) { s.podArrivesLate(deleted) },
			"churn":       (*story).comeAndGo,
			"held":        (*story).heldWithReason,
			"explain":     (*story).explained,
			"broken":      (*story).brokenGPUs,
			"uninstall":   (*story).uninstall,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				tell(begin(t, w, name))
			})
		}
	})
	begin(t, w, "")
	w.Clear(t)
	w.Always(t)
	replayed(t, views)
}
