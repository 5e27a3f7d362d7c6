package cluster

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
)

// process is one component at work.
type process struct {
	name   Component
	cmd    *exec.Cmd
	log    string        // path
	logged int64         // size of the log before this process wrote to it
	killed atomic.Bool   // by us
	ended  chan struct{} // closed when the process is gone
	exit   error         // how it ended; read it after ended
}

// startProcess starts a component that writes to the log, works in a directory of its own under dir, and dies with us.
//
// One goroutine starts the process and stays on its thread until it has ended: Linux kills a child when the thread
// that started it ends, not when the whole parent does, and the Go runtime ends threads as it likes.
func startProcess(name Component, path string, arguments []string, dir, log string) (*process, error) {
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening its log: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening its log: %w", err)
	}
	work := filepath.Join(dir, string(name))
	if err := os.MkdirAll(work, 0o700); err != nil {
		return nil, fmt.Errorf("making its directory: %w", err)
	}
	p := &process{name: name, log: log, logged: info.Size(), ended: make(chan struct{})}
	p.cmd = exec.Command(path, arguments...)
	p.cmd.Dir = work
	p.cmd.Env = environment(work)
	p.cmd.Stdout, p.cmd.Stderr = file, file
	p.cmd.SysProcAttr = dieWithParent()

	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer close(p.ended)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.exit = p.cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting it: %w", err)
	}
	return p, nil
}

// environment is ours but for what would change how a component behaves: etcd takes any flag from a variable. What it
// writes for a moment goes where it is removed with the rest.
func environment(work string) []string {
	var kept []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "ETCD_") {
			kept = append(kept, variable)
		}
	}
	return append(kept, "TMPDIR="+work, "PWD="+work)
}

func (p *process) kill() {
	p.killed.Store(true)
	_ = p.cmd.Process.Kill() // it fails if the process has ended, which is what we want
}

// portWasTaken tells whether this process could not open its port.
func (p *process) portWasTaken() bool {
	return bytes.Contains(p.output(), []byte("address already in use"))
}

// lastLines returns the end of what the process wrote, for an error message.
func (p *process) lastLines() string {
	const most, mostBytes = 12, 6 << 10
	text := p.output()
	text = text[max(0, len(text)-mostBytes):]
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = lines[max(0, len(lines)-most):]
	return fmt.Sprintf("the end of %s:\n  %s", p.log, strings.Join(lines, "\n  "))
}

func (p *process) output() []byte {
	file, err := os.Open(p.log)
	if err != nil {
		return nil
	}
	defer file.Close()
	if _, err := file.Seek(p.logged, io.SeekStart); err != nil {
		return nil
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return nil
	}
	return text
}

// sweepAtExit sees to it that dir is removed even if this process gets no chance to: a killed test, a test that ran
// into its time limit, Ctrl-C. A shell waits for the end of its input, which the kernel brings about when we are gone,
// and then removes dir; again if a component wrote to it while that went on. The returned function has it done now.
func sweepAtExit(dir string) (sweep func(), err error) {
	const script = `cat >/dev/null; for i in 1 2 3 4 5; do rm -rf -- "$1" && [ ! -e "$1" ] && exit; sleep 1; done`
	cmd := exec.Command("/bin/sh", "-c", script, "sh", dir)
	cmd.Dir = "/"
	cmd.SysProcAttr = outliveParent()
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("preparing to remove %s: %w", dir, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("preparing to remove %s: %w", dir, err)
	}
	return func() {
		_ = input.Close()
		_ = cmd.Wait() // Stop has removed dir itself, and has the error if it could not
	}, nil
}

// freePort returns a port that was free a moment ago. It asks below the range from which kernels take the ports of
// outgoing connections (32768 and up on Linux, 49152 elsewhere), so that a component that is started again finds its
// port still free.
func freePort() (int, error) {
	const low, high, attempts = 18000, 30000, 100
	var err error
	for range attempts {
		var listener net.Listener
		port := low + rand.IntN(high-low)
		listener, err = net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("finding a free port: %w", err)
}
