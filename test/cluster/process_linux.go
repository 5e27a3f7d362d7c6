package cluster

import "syscall"

// dieWithParent has the kernel kill a component when we end in whatever way. In a process group of its own, Ctrl-C in a
// terminal does not reach it before us, so that a command may still ask the API server things while it winds up.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// outliveParent keeps Ctrl-C away from what cleans up after us.
func outliveParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
