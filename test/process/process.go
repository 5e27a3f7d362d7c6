// Package process runs the project's programs for tests and demos: each with a log file of its own, none of them longer than whoever started it.
//
// It decides nothing. It may be imported by tests and by commands that only developers run; never by the product.
package process

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Process is a program that was started.
type Process struct {
	// Log is the path of its log.
	Log string
	// Ended is closed when it has ended, in whatever way.
	Ended chan struct{}

	cmd *exec.Cmd
}

// Start starts a program in a process group of its own, so that Ctrl-C in a terminal reaches only its parent, which stops things in
// order. The kernel kills it if the parent dies without doing so. environment
// is all of its environment; nil: this process's own.
func Start(path string, flags, environment []string, log string) (*Process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("opening a log: %w", err)
	}
	cmd := exec.Command(path, flags...)
	cmd.Env = environment
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = attributes()
	p := &Process{Log: log, Ended: make(chan struct{}), cmd: cmd}
	running := make(chan error)
	go func() {
		// The kernel's signal at the parent's death is that of the starting thread: this one has to stay.
		runtime.LockOSThread()
		err := cmd.Start()
		running <- err
		if err == nil {
			_ = cmd.Wait() // how it ended shows in the log
			close(p.Ended)
		}
		_ = file.Close()
	}()
	if err := <-running; err != nil {
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(path), err)
	}
	return p, nil
}

// Stop asks the process to end, and makes it after a time.
func (p *Process) Stop(grace time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.Ended:
	case <-time.After(grace):
		p.Kill()
	}
}

// Kill ends it as kill -9 does, and returns when it has ended.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.Ended
}

// LastLines answers the end of the log.
func (p *Process) LastLines(count int) string {
	text, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-count):], []byte("\n")))
}

// Await polls until ok, at most for the given time and only while the process lives.
func (p *Process) Await(ctx context.Context, most time.Duration, what string, ok func() bool) error {
	deadline := time.Now().Add(most)
	for !ok() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.Ended:
			return fmt.Errorf("waiting for %s: it ended:\n%s", what, p.LastLines(15))
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waiting for %s: not within %s:\n%s", what, most, p.LastLines(15))
		}
	}
	return nil
}

// FreeAddress answers a loopback address that was free a moment ago.
func FreeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}
