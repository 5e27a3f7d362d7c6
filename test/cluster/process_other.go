//go:build !linux

package cluster

import "syscall"

// dieWithParent leaves a component in our process group, so that Ctrl-C ends it too. Only Linux can do better: here a
// component survives if we are killed in a way that leaves no time for Stop.
func dieWithParent() *syscall.SysProcAttr { return nil }

// outliveParent keeps Ctrl-C away from what cleans up after us.
func outliveParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
