package stories_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	views "github.com/slipway-sh/slipway/pkg/provisioner/record"
	"github.com/slipway-sh/slipway/test/cluster/program"
)

// shown is how many of the recorded Views the production binary replays; all are replayed here.
const shown = 3

// replayed: every decision of the controller is made again from its recorded View, byte for byte, and slipway simulate says so.
func replayed(t *testing.T, dir string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "view-*.json.gz")) // not Open: the controller still writes there
	if err != nil {
		t.Fatal(err)
	}
	bought := 0
	for _, path := range paths {
		r, err := views.Read(path)
		if err != nil {
			t.Error(err)
			continue
		}
		today, err := r.Replay()
		if err != nil {
			t.Fatal(err)
		}
		if !today.Same() {
			t.Errorf("%s: another decision: %v", filepath.Base(path), today.Differences)
		}
		if len(today.Decision.Create) > 0 {
			if bought++; bought <= shown {
				simulated(t, path)
			}
		}
	}
	t.Logf("%d Views were recorded, %d of them with something to buy", len(paths), bought)
	if bought == 0 {
		t.Errorf("of %d recorded Views none has anything to buy", len(paths))
	}
}

// simulated shows a View to the production binary.
func simulated(t *testing.T, path string) {
	t.Helper()
	root, err := program.Root()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(root, "bin", "slipway"), "simulate", "--view", path).CombinedOutput()
	held := false
	if exit, ok := err.(*exec.ExitError); ok {
		held = exit.ExitCode() == 2
	}
	if err != nil && !held || !strings.Contains(string(out), "the same decision as recorded") || held != strings.Contains(string(out), "\nHeld\n") {
		t.Errorf("slipway simulate --view %s: %v\n%s", path, err, out)
	}
}
