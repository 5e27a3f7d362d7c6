package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// job is one build: the module in directory source into the file output.
type job struct {
	source, output string
	version        string // of Kubernetes, "v1.37.2"; what the API server's /version says
	parallel       int    // packages compiled at once, at least 1
	force          bool   // build even if the output is up to date
	log            *os.File
}

// build brings the output up to date. The lock is taken before the digest is compared, so that of two builds at once
// the second sees what the first has made.
func build(ctx context.Context, j job) error {
	if err := os.MkdirAll(filepath.Dir(j.output), 0o755); err != nil {
		return fmt.Errorf("making the output's directory: %w", err)
	}
	unlock, err := lock(ctx, hidden(j.output, "lock"), func() {
		fmt.Fprintln(j.log, "control plane: another build is running; waiting for it")
	})
	if err != nil {
		return err
	}
	defer unlock()

	want, err := digest(j.source)
	if err != nil {
		return err
	}
	if !j.force && builtFrom(ctx, j.output) == want {
		fmt.Fprintf(j.log, "control plane: %s is up to date\n", j.output)
		return nil
	}
	return compile(ctx, j, want)
}

// why is told to whoever waits.
const why = `control plane: building Kubernetes %s's control plane from source, %d packages at a time.
  The first time on a machine this takes about 10 minutes on 2 cores: nothing serves it as binaries without a
  container registry, and the tests want the real scheduler.
  To use your own instead, stop this and set SLIPWAY_CONTROLPLANE or KUBEBUILDER_ASSETS.
`

// compile downloads, compiles and links, and puts the program in its place.
func compile(ctx context.Context, j job, digest string) error {
	begin := time.Now()
	fmt.Fprintf(j.log, why, j.version, j.parallel)
	show := startProgress(j.log)
	defer show.stop()

	packages, err := listPackages(ctx, j, show)
	if err != nil {
		return err
	}
	fresh := hidden(j.output, "new")
	defer os.Remove(fresh) // nothing is there once it has its name
	if err := compilePackages(ctx, j, linkFlags(j.version, digest), packages, show); err != nil {
		return err
	}
	show.stop()
	if err := os.Rename(fresh, j.output); err != nil {
		return fmt.Errorf("putting the program in place: %w", err)
	}
	size := int64(0)
	if info, err := os.Stat(j.output); err == nil {
		size = info.Size()
	}
	fmt.Fprintf(j.log, "control plane: built %s, %d MB, in %s\n", j.output, size>>20, time.Since(begin).Round(time.Second))
	return nil
}

// listPackages returns the import paths of everything the program links, the program's own last. Listing them downloads
// the modules.
func listPackages(ctx context.Context, j job, show *progress) ([]string, error) {
	show.set("reading what has to be compiled")
	downloads := 0
	var stdout, complaints bytes.Buffer
	err := runGo(ctx, j.source, &stdout, func(line string) {
		if module, found := strings.CutPrefix(line, "go: downloading "); found {
			downloads++
			show.set("downloading module %d: %s", downloads, module)
			return
		}
		complaints.WriteString(line + "\n")
	}, "list", "-deps", ".")
	if err != nil {
		return nil, fmt.Errorf("listing its packages: %w\n%s", err, complaints.String())
	}
	return strings.Fields(stdout.String()), nil
}

// compilePackages builds the program beside where it will be. `go build -v` names each package when it begins to compile it and mixes that
// with the compiler's complaints: a line that is a known package is progress, anything else is kept for the error.
func compilePackages(ctx context.Context, j job, linkFlags string, packages []string, show *progress) error {
	known := map[string]bool{}
	for _, path := range packages {
		known[path] = true
	}
	show.set("looking up what is compiled already")
	compiled := 0
	var complaints bytes.Buffer
	err := runGo(ctx, j.source, io.Discard, func(line string) {
		if !known[line] {
			complaints.WriteString(line + "\n")
			return
		}
		compiled++
		if line == packages[len(packages)-1] {
			show.set("linking %d packages", len(packages))
			return
		}
		show.set("compiling package %d of at most %d: %s", compiled, len(packages), line)
	}, "build", "-v", "-trimpath", "-buildvcs=false", "-p", strconv.Itoa(max(1, j.parallel)),
		"-ldflags", linkFlags, "-o", hidden(j.output, "new"), ".")
	if err != nil {
		return fmt.Errorf("compiling: %w\n%s", err, complaints.String())
	}
	return nil
}

// linkFlags leaves out what only a debugger reads, which saves a third of the size, and stamps the versions.
func linkFlags(version, digest string) string {
	const variables = "k8s.io/component-base/version."
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	return strings.Join([]string{
		"-s -w",
		"-X " + variables + "gitVersion=" + version,
		"-X " + variables + "gitMajor=" + parts[0],
		"-X " + variables + "gitMinor=" + parts[min(1, len(parts)-1)],
		"-X " + variables + "gitTreeState=clean",
		"-X main.inputs=" + digest,
	}, " ")
}

// runGo runs the go command in directory and gives each line it writes to stderr to onLine.
func runGo(ctx context.Context, directory string, stdout io.Writer, onLine func(string), arguments ...string) error {
	cmd := exec.CommandContext(ctx, "go", arguments...)
	cmd.Dir = directory
	// The program is the same on every machine: no C compiler, and no go.work that would change its versions.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=", "PWD="+directory)
	cmd.Stdout = stdout
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it then removes its own files
	cmd.WaitDelay = 5 * time.Second
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		onLine(lines.Text())
	}
	err = errors.Join(lines.Err(), cmd.Wait())
	if ctx.Err() != nil {
		return errors.New("stopped")
	}
	return err
}

// hidden names a file beside path that nobody takes for a program.
func hidden(path, kind string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+kind)
}
