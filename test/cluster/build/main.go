// Command build compiles the control plane that the tests run against: the module test/controlplane into
// bin/controlplane. `make controlplane` calls it, and so does every target that needs the program.
//
//	go run ./test/cluster/build
//
// The first time on a machine this takes minutes, since it compiles Kubernetes; so it says why, what it is at, and how
// far. After that it costs a fraction of a second: the program carries a digest of what it was built from (go.mod,
// go.sum and the Go files of its module) and is built again only when that differs. Nothing is built when the
// environment names another control plane (see package program).
//
// Two builds at once are safe: the second waits for the first and then finds nothing to do. The program is replaced in
// one step, so a test never starts half of one; a build that fails or is stopped leaves the old one as it was, and
// shows what the compiler said.
//
// It imports nothing but the standard library and package program, so that it starts at once on a fresh machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"

	"github.com/slipway-sh/slipway/test/cluster/program"
)

func main() {
	parallel := flag.Int("p", runtime.NumCPU(), "how many packages to compile at once")
	force := flag.Bool("force", false, "build even if the program is up to date")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *parallel, *force); err != nil {
		fmt.Fprintln(os.Stderr, "building the control plane:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, parallel int, force bool) error {
	if named, ok, err := program.Named(program.Components()...); ok {
		if err == nil {
			fmt.Printf("control plane: %s, nothing to build\n", named.Source)
		}
		return err
	}
	root, err := program.Root()
	if err != nil {
		return err
	}
	source := filepath.Join(root, "test", "controlplane")
	version, err := kubernetesVersion(filepath.Join(source, "go.mod"))
	if err != nil {
		return err
	}
	return build(ctx, job{
		source: source, output: program.Built(root), version: version,
		parallel: parallel, force: force, log: os.Stdout,
	})
}

var kubernetesRequirement = regexp.MustCompile(`(?m)^\s*(?:require\s+)?k8s\.io/kubernetes\s+(v\d+\.\d+\.\d+\S*)`)

// kubernetesVersion reads the release of Kubernetes from a go.mod.
func kubernetesVersion(goMod string) (string, error) {
	text, err := os.ReadFile(goMod)
	if err != nil {
		return "", fmt.Errorf("reading the version of Kubernetes: %w", err)
	}
	match := kubernetesRequirement.FindSubmatch(text)
	if match == nil {
		return "", errors.New(goMod + " requires no k8s.io/kubernetes")
	}
	return string(match[1]), nil
}
