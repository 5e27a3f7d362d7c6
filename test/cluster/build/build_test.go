package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// tiny stands in for the control plane: it answers "version" as the real program does, and compiles in a second.
const tiny = `package main

import "os"

var inputs string

func main() { os.Stdout.WriteString("inputs " + inputs + "\n") }
`

func TestBuildsOnlyWhatChanged(t *testing.T) {
	j, log := tinyJob(t)
	mustBuild(t, j)
	expectLog(t, log, "building Kubernetes v1.99.0", "built "+j.output)
	first := read(t, j.output)

	mustBuild(t, j)
	expectLog(t, log, "is up to date")

	write(t, filepath.Join(j.source, "more.go"), "package main\n\nfunc init() { println(\"more\") }\n")
	mustBuild(t, j)
	expectLog(t, log, "built ")
	if read(t, j.output) == first {
		t.Error("a new file changed nothing in the program")
	}

	j.force = true
	mustBuild(t, j)
	expectLog(t, log, "built ")
}

func TestFailureShowsTheCompilerAndKeepsTheProgram(t *testing.T) {
	j, log := tinyJob(t)
	mustBuild(t, j)
	before := read(t, j.output)
	expectLog(t, log, "built ")

	write(t, filepath.Join(j.source, "broken.go"), "package main\n\nvar wrong int = \"text\"\n")
	err := build(t.Context(), j)
	if err == nil || !strings.Contains(err.Error(), "broken.go:3:") {
		t.Fatalf("error %v does not show the compiler's complaint", err)
	}
	if strings.Contains(err.Error(), "\nruntime\n") {
		t.Errorf("the error lists packages that compiled: %v", err)
	}
	if read(t, j.output) != before {
		t.Error("a failed build changed the program")
	}
	expectOnly(t, filepath.Dir(j.output), "controlplane", ".controlplane.lock")
}

func TestOfTwoBuildsAtOnceOneBuilds(t *testing.T) {
	j, log := tinyJob(t)
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			if err := build(t.Context(), j); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	text := expectLog(t, log, "is up to date")
	if n := strings.Count(text, "control plane: built "); n != 1 {
		t.Errorf("%d builds, want 1:\n%s", n, text)
	}
}

func TestStoppedWhileAnotherBuilds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), path, func() { t.Error("nobody holds it") })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := lock(ctx, path, cancel); err == nil || !strings.Contains(err.Error(), "stopped") {
		t.Errorf("error %v, want that it was stopped", err)
	}
	unlock()
	unlock, err = lock(t.Context(), path, func() { t.Error("it was freed") })
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestKubernetesVersion(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"in a block":      {"require (\n\tk8s.io/component-base v0.37.2\n\tk8s.io/kubernetes v1.37.2\n)\n", "v1.37.2"},
		"on its own line": {"require k8s.io/kubernetes v1.38.0-rc.1\n", "v1.38.0-rc.1"},
		"not at all":      {"require k8s.io/api v0.37.2\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "go.mod")
			write(t, path, tc.text)
			got, err := kubernetesVersion(path)
			if got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("got %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

func tinyJob(t *testing.T) (job, *os.File) {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("the test builds programs, and there is no go command: ", err)
	}
	source := t.TempDir()
	write(t, filepath.Join(source, "go.mod"), "module example.com/tiny\n\ngo 1.26.0\n")
	write(t, filepath.Join(source, "main.go"), tiny)
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return job{
		source: source, output: filepath.Join(t.TempDir(), "bin", "controlplane"),
		version: "v1.99.0", parallel: 2, log: log,
	}, log
}

func mustBuild(t *testing.T, j job) {
	t.Helper()
	if err := build(t.Context(), j); err != nil {
		t.Fatal(err)
	}
}

// expectLog returns what was logged since the last call, and fails unless it holds all of want.
func expectLog(t *testing.T, log *os.File, want ...string) string {
	t.Helper()
	text := read(t, log.Name())
	for _, part := range want {
		if !strings.Contains(text, part) {
			t.Fatalf("the log does not say %q:\n%s", part, text)
		}
	}
	if err := log.Truncate(0); err != nil {
		t.Fatal(err)
	}
	if _, err := log.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	return text
}

func expectOnly(t *testing.T, directory string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		found := false
		for _, name := range want {
			found = found || entry.Name() == name
		}
		if !found {
			t.Errorf("%s was left behind", entry.Name())
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
