// Command demo shows Slipway at work on one machine: a real control plane, the production controller, and an AWS that is played
// together with its machines. It prints what happens as it happens, then a table, and writes the same numbers as JSON.
//
//	make demo                 ends by itself with exit status 0, in about five minutes
//	make demo DEMO_KEEP=1     leaves everything running, to be played with; Ctrl-C ends it
//
// It asserts nothing: what must hold is in the report, and tests hold it to account.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/slipway-sh/slipway/test/stage"
)

func main() {
	bin := flag.String("bin", "bin", "directory of slipway and fakeaws, and of the report")
	keep := flag.Bool("keep", false, "leave everything running")
	timeout := flag.Duration("timeout", 15*time.Minute, "give up after so long")
	flag.Parse()
	ctrllog.SetLogger(logr.Discard()) // what is worth telling is on the timeline
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, *keep, *timeout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, bin string, keep bool, timeout time.Duration) (err error) {
	limited, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it took longer than %s", timeout))
	if keep {
		limited, cancel = context.WithCancel(ctx)
	}
	defer cancel()
	t := newTimeline(os.Stdout)
	t.title("setting the stage")
	s, err := stage.Set(limited, stage.Options{
		Bin: bin, Logs: filepath.Join(bin, "demo-logs"), Progress: func(what string) { t.note("%s", what) },
		FakeAWS: []string{"--boot", "3s-6s", "--join", "2s-5s", "--gpu-delay", "2s-5s", "--shutdown", "3s-6s", "--seed", "1"},
	})
	if err != nil {
		return err
	}
	defer func() {
		t.note("stopping everything")
		err = errors.Join(err, s.Strike())
	}()
	t.note("Kubernetes was ready after %.1f s", s.Cluster.StartedIn.Seconds())
	story, err := newStory(limited, s, t)
	if err != nil {
		return err
	}
	if err := story.play(limited, keep); err != nil {
		if cause := context.Cause(limited); cause != nil {
			err = fmt.Errorf("%w (%w)", err, cause)
		}
		return fmt.Errorf("%w; logs are in %s", err, s.Logs)
	}
	report, err := story.report()
	if err != nil {
		return err
	}
	report.print(os.Stdout)
	path := filepath.Join(bin, "demo-report.json")
	if err := report.write(path); err != nil {
		return err
	}
	fmt.Printf("\nThe same as JSON: %s   Logs: %s\n", path, s.Logs)
	if keep {
		fmt.Printf("\nEverything is still running. In another terminal:\n\n  export KUBECONFIG=%s\n  kubectl get prov,nodeclaims,nodes,pods\n\nCtrl-C ends it.\n",
			s.Cluster.Kubeconfig)
		<-ctx.Done()
	}
	return nil
}
