package record

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"pgregory.net/rapid"

	"github.com/slipway-sh/slipway/pkg/provisioner/plan"
)

// over answers by how much a directory is over its limits; empty: it is not.
func over(path string, l Limits) string {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err.Error()
	}
	files, bytes := 0, int64(0)
	for _, e := range entries {
		if e.Name() == "notes.txt" {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return err.Error()
		}
		files++
		bytes += info.Size()
		if !ours.MatchString(e.Name()) {
			return "leaves behind " + e.Name()
		}
	}
	if files > l.Files || bytes > l.Bytes {
		return "is over its limits"
	}
	return ""
}

func TestDirectoryIsBounded(t *testing.T) {
	example := rapid.Custom(drawCluster).Example(2)
	rapid.Check(t, func(t *rapid.T) {
		path, err := os.MkdirTemp("", "views")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(path)
		if err := os.WriteFile(filepath.Join(path, "notes.txt"), make([]byte, 1<<20), 0o644); err != nil {
			t.Fatal(err)
		}
		limits := Limits{Files: rapid.IntRange(1, 5).Draw(t, "files"), Bytes: rapid.Int64Range(1, 40_000).Draw(t, "bytes")}
		var newest string
		for step := range rapid.IntRange(1, 8).Draw(t, "records") {
			d, err := Open(path, limits) // each time anew, as after a restart
			if err != nil {
				t.Fatal(err)
			}
			v := example
			v.Now = v.Now.Add(time.Duration(step/2) * time.Nanosecond) // two at the same instant
			v.Offerings = v.Offerings[:rapid.IntRange(0, len(v.Offerings)).Draw(t, "offerings")]
			wrote, err := d.Write(recorded(t, v))
			if err == nil {
				newest = wrote
			} else if !strings.Contains(err.Error(), "may hold") {
				t.Fatal(err)
			}
			if fault := over(path, limits); fault != "" {
				t.Fatalf("after %d records the directory %s", step+1, fault)
			}
		}
		if newest != "" {
			if _, err := Read(newest); err != nil {
				t.Fatalf("the newest is not there: %v", err)
			}
		}
		if _, err := os.Stat(filepath.Join(path, "notes.txt")); err != nil {
			t.Fatalf("a file of somebody else: %v", err)
		}
	})
}

// TestDirectoryIsBounded_catches: what the check must not let pass.
func TestDirectoryIsBounded_catches(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]int
		want  string
	}{
		"one file too many":   {map[string]int{"view-20260823T120000.000000000Z-000.json.gz": 1, "view-20260823T120000.000000001Z-000.json.gz": 1}, "over"},
		"one byte too many":   {map[string]int{"view-20260823T120000.000000000Z-000.json.gz": 11}, "over"},
		"a half written file": {map[string]int{"view-1234.part": 1}, "leaves behind"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, size := range tc.files {
				if err := os.WriteFile(filepath.Join(dir, file), make([]byte, size), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := over(dir, Limits{Files: 1, Bytes: 10}); !strings.Contains(got, tc.want) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestOpenClearsAndRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"view-77.part", "view-20260823T120000.000000000Z-000.json.gz", "view-20260823T130000.000000000Z-000.json.gz", "other.part"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Open(dir, Limits{Files: 1, Bytes: 100})
	if err != nil {
		t.Fatal(err)
	}
	paths, err := d.Paths()
	if err != nil || len(paths) != 1 || filepath.Base(paths[0]) != "view-20260823T130000.000000000Z-000.json.gz" {
		t.Errorf("got %v, %v: want the newest one", paths, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "other.part")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "view-77.part")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a crash left is still there: %v", err)
	}
	for _, l := range []Limits{{}, {Files: 1}, {Bytes: 1}, {Files: -1, Bytes: 1}} {
		if _, err := Open(dir, l); err == nil {
			t.Errorf("limits %+v were accepted", l)
		}
	}
}

func openDirectory(t *testing.T, l Limits) *Directory {
	t.Helper()
	d, err := Open(t.TempDir(), l)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func count(t *testing.T, d *Directory) int {
	t.Helper()
	paths, err := d.Paths()
	if err != nil {
		t.Fatal(err)
	}
	return len(paths)
}

// A standstill is written once a minute, every change at once, and what is queued at the end still.
func TestRecorder(t *testing.T) {
	d := openDirectory(t, DefaultLimits())
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		r := NewRecorder(d, "test", logr.Discard())
		go func() { _ = r.Start(ctx) }()
		v := plan.View{Now: noon}
		for step, want := range []int{1, 1, 2, 3} {
			decision := plan.Decision{}
			switch step {
			case 1:
				v.Now = v.Now.Add(10 * time.Second)
			case 2:
				v.Now = v.Now.Add(repeatEvery)
			case 3:
				v.Now, decision.CostMicroUSDPerHour = v.Now.Add(time.Second), 7
			}
			r.Keep(v, policy, decision, nil)
			synctest.Wait()
			if got := count(t, d); got != want {
				t.Fatalf("after step %d there are %d files, want %d", step, got, want)
			}
		}
		stop()
		r.Keep(v, policy, plan.Decision{}, errors.New("gone wrong"))
		synctest.Wait()
	})
}

// Keep never waits for the disk, and what that cost is told.
func TestRecorderDropsAndSaysSo(t *testing.T) {
	var said []string
	log := funcr.New(func(_, args string) { said = append(said, args) }, funcr.Options{})
	d := openDirectory(t, DefaultLimits())
	r := NewRecorder(d, "test", log)
	decide := func(n int) {
		r.Keep(plan.View{Now: noon}, policy, plan.Decision{CostMicroUSDPerHour: int64(n)}, nil)
	}
	for n := range queued + 3 {
		decide(n)
	}
	ended, stop := context.WithCancel(t.Context())
	stop()
	drain := func() {
		if err := r.Start(ended); err != nil {
			t.Fatal(err)
		}
	}
	drain()
	if got := count(t, d); got != queued {
		t.Errorf("%d files, want %d", got, queued)
	}
	decide(queued + 4)
	drain()
	if got := count(t, d); got != queued+1 {
		t.Errorf("%d files, want %d", got, queued+1)
	}
	if all := strings.Join(said, "\n"); !strings.Contains(all, `"dropped"=3`) {
		t.Errorf("the log does not tell of 3 dropped Views: %s", all)
	}
}
