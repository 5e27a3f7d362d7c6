package cluster_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/slipway-sh/slipway/test/cluster"
	"github.com/slipway-sh/slipway/test/cluster/program"
)

// small is a cluster that starts quickly, for tests of how clusters end.
var small = cluster.Options{Without: []cluster.Component{cluster.Scheduler, cluster.ControllerManager}}

func TestEndsWithoutATrace(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, c *cluster.Cluster, cancel func()){
		"Stop": func(t *testing.T, c *cluster.Cluster, _ func()) {
			if err := errors.Join(c.Stop(), c.Stop()); err != nil {
				t.Error(err)
			}
			if left := processesOf(t, c, ""); len(left) > 0 {
				t.Errorf("Stop returned while these ran: %v", left)
			}
		},
		"the end of its context": func(t *testing.T, c *cluster.Cluster, cancel func()) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			c, err := cluster.Start(ctx, small)
			if err != nil {
				t.Fatal(err)
			}
			if running := processesOf(t, c, ""); len(running) < 3 {
				t.Fatalf("want etcd, the API server and what cleans up after them; running: %v", running)
			}
			end(t, c, cancel)
			expectNoTrace(t, c)
			if err := c.Restart(t.Context(), cluster.APIServer); !errors.Is(err, cluster.ErrStopped) {
				t.Errorf("Restart after the end gave %v", err)
			}
		})
	}
}

// TestEndsWithItsParent starts a cluster from another process and ends that in ways that leave it no time.
func TestEndsWithItsParent(t *testing.T) {
	if os.Getenv("CLUSTER_TEST_PARENT") != "" {
		c, err := cluster.Start(context.Background(), small)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("DIR=%s\n", c.Dir)
		select {}
	}
	for name, signal := range map[string]syscall.Signal{"kill -9": syscall.SIGKILL, "Ctrl-C": syscall.SIGINT} {
		t.Run(name, func(t *testing.T) {
			parent := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEndsWithItsParent$")
			parent.Env = append(os.Environ(), "CLUSTER_TEST_PARENT=1")
			stdout, err := parent.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			c := &cluster.Cluster{}
			said := ""
			for lines := bufio.NewScanner(stdout); c.Dir == "" && lines.Scan(); {
				said += lines.Text() + "\n"
				if dir, found := strings.CutPrefix(lines.Text(), "DIR="); found {
					c.Dir = dir
				}
			}
			if c.Dir == "" {
				t.Fatalf("the parent started no cluster: %s", said)
			}
			if running := processesOf(t, c, ""); len(running) < 3 {
				t.Fatalf("running: %v", running)
			}
			if err := parent.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_ = parent.Wait() // it was killed; that is its error
			expectNoTrace(t, c)
		})
	}
}

func TestFailureSaysWhyAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	options := small
	options.Dir = dir
	options.Flags = map[cluster.Component][]string{cluster.APIServer: {"--no-such-flag"}}
	_, err := cluster.Start(t.Context(), options)
	if err == nil || !strings.Contains(err.Error(), "kube-apiserver") || !strings.Contains(err.Error(), "no-such-flag") {
		t.Errorf("error %v does not quote the API server's log", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestNoControlPlane(t *testing.T) {
	t.Setenv(program.FileVariable, "")
	t.Setenv(program.DirectoryVariable, "")
	t.Chdir(t.TempDir())
	_, err := cluster.Start(t.Context(), cluster.Options{})
	if !errors.Is(err, program.ErrNotFound) || !strings.Contains(err.Error(), "make controlplane") {
		t.Errorf("error %v does not say what to do", err)
	}
}

// TestPortTakenMeanwhile has etcd find its port taken at the first try, as happens when something else opens it between
// the moment it was chosen and the moment etcd starts.
func TestPortTakenMeanwhile(t *testing.T) {
	programs, err := program.Find(cluster.Etcd, cluster.APIServer)
	if err != nil {
		t.Fatal(err)
	}
	path, arguments := programs.Command(cluster.Etcd)
	dir := t.TempDir()
	tried := filepath.Join(dir, "tried")
	unlucky := filepath.Join(dir, "unlucky")
	if len(arguments) == 0 {
		t.Skip("the test stands in for the one program of test/controlplane")
	}
	text := fmt.Sprintf("#!/bin/sh\nif [ ! -e %q ]; then touch %q; echo 'listen tcp: bind: address already in use'; exit 1; fi\n"+
		"exec %q \"$@\"\n", tried, tried, path)
	if err := os.WriteFile(unlucky, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv(program.FileVariable, unlucky)
	start(t, small)
	if _, err := os.Stat(tried); err != nil {
		t.Error("the first try was not made")
	}
}

// TestAssets has a directory of programs, as envtest's users have, made of links to the one program.
func TestAssets(t *testing.T) {
	programs, err := program.Find(program.Components()...)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []cluster.Component{cluster.Etcd, cluster.APIServer} {
		path, _ := programs.Command(name)
		if err := os.Symlink(path, filepath.Join(dir, string(name))); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(program.FileVariable, "")
	t.Setenv(program.DirectoryVariable, dir)
	if _, err := cluster.Start(t.Context(), cluster.Options{}); err == nil || !strings.Contains(err.Error(), "lacks kube-scheduler") {
		t.Errorf("without a scheduler: %v", err)
	}
	start(t, small)
}

// TestOptions has one cluster with everything that differs from the usual.
func TestOptions(t *testing.T) {
	options := cluster.Options{
		Dir: t.TempDir(), Logs: t.TempDir(), Keep: true,
		FeatureGates:  map[string]bool{"GenericWorkload": true},
		RuntimeConfig: map[string]bool{"scheduling.k8s.io/v1beta1": true},
		SchedulerConfig: []byte(`
apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
profiles: [{schedulerName: default-scheduler}, {schedulerName: packer}]
`),
	}
	said := &lockedBuffer{}
	options.Output = said
	c, err := cluster.Start(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	client := clientFor(t, c)
	if _, err := client.Discovery().ServerResourcesForGroupVersion("scheduling.k8s.io/v1beta1"); err != nil {
		t.Errorf("an API that was switched on: %v", err)
	}
	createNode(t, client, "node", "1")
	pod := gpuPod("1")
	pod.SchedulerName = "packer"
	if _, err := client.CoreV1().Pods("default").Create(t.Context(), namedPod("packed", pod), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	expectBound(t, client, "packed", "node")

	for pid := range processesOf(t, c, string(cluster.ControllerManager)) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the output tells of the controller manager's end", func() (bool, string) {
		return strings.Contains(said.String(), "kube-controller-manager ended by itself"), said.String()
	})
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, kept := range []string{c.Kubeconfig, filepath.Join(options.Logs, "etcd.log"), filepath.Join(c.Dir, "etcd", "data")} {
		if _, err := os.Stat(kept); err != nil {
			t.Errorf("it was to be kept: %v", err)
		}
	}
}

func TestOptionsAreValidated(t *testing.T) {
	for name, options := range map[string]cluster.Options{
		"without etcd":                {Without: []cluster.Component{cluster.Etcd}},
		"configured but left out":     {Without: []cluster.Component{cluster.Scheduler}, SchedulerConfig: []byte("{}")},
		"flags for an unknown":        {Flags: map[cluster.Component][]string{"kubelet": {"--v=9"}}},
		"less than no time to start":  {Timeout: -1},
		"left out under another name": {Without: []cluster.Component{"scheduler"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := options.Validate(); err == nil {
				t.Error("it was accepted")
			}
		})
	}
}

func expectNoTrace(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	eventually(t, "no process is left", func() (bool, string) {
		left := processesOf(t, c, "")
		return len(left) == 0, fmt.Sprint(left)
	})
	eventually(t, "its directory is gone", func() (bool, string) {
		_, err := os.Stat(c.Dir)
		return errors.Is(err, os.ErrNotExist), fmt.Sprint(err)
	})
}

// processesOf returns the command lines, by process id, that name the cluster's directory and the given word.
func processesOf(t *testing.T, c *cluster.Cluster, word string) map[int]string {
	t.Helper()
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	if len(files) == 0 {
		t.Skip("this machine does not list its processes in /proc")
	}
	found := map[int]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(text, []byte(c.Dir)) {
			continue // it has ended meanwhile, or is not the cluster's
		}
		fields := strings.Split(string(text), "\x00")
		if word != "" && (len(fields) < 2 || !strings.Contains(fields[0]+" "+fields[1], word)) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		found[pid] = strings.Join(fields, " ")
	}
	return found
}

// lockedBuffer is a buffer that a cluster may write to while a test reads it.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
