//go:build unix

package main

import (
	"os/exec"
	"syscall"
)

// endWithChildren gives the command a process group of its own and ends all of it at a
// timeout: go run and go test would leave the programs they started behind.
func endWithChildren(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
