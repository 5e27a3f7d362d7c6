package stage

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// process is a program that the stage runs.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

// start starts a program in a process group of its own, so that Ctrl-C in a terminal reaches only the stage, which stops things in
// order. The kernel kills it if the stage dies without doing so.
func start(path string, flags, environment []string, log string) (*process, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("opening a log: %w", err)
	}
	cmd := exec.Command(path, flags...)
	cmd.Env = append(os.Environ(), environment...)
	cmd.Stdout, cmd.Stderr = file, file
	cmd.SysProcAttr = attributes()
	p := &process{cmd: cmd, log: log, ended: make(chan struct{})}
	running := make(chan error)
	go func() {
		// The kernel's signal at the parent's death is that of the starting thread: this one has to stay.
		runtime.LockOSThread()
		err := cmd.Start()
		running <- err
		if err == nil {
			_ = cmd.Wait() // how it ended shows in the log
			close(p.ended)
		}
		_ = file.Close()
	}()
	if err := <-running; err != nil {
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(path), err)
	}
	return p, nil
}

// stop asks the process to end, and makes it after ten seconds.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(10 * time.Second):
		p.kill()
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// lastLines answers the end of the log.
func (p *process) lastLines(count int) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-count):], []byte("\n")))
}

// freeAddress answers a loopback address that was free a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}
