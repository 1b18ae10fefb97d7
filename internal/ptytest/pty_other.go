//go:build !linux

package ptytest

import (
	"errors"
	"os"
	"syscall"
)

func open(int, int) (master, tty *os.File, err error) { return nil, nil, errors.ErrUnsupported }

func foreground() *syscall.SysProcAttr { return nil }

func echoes(*os.File) bool { return false }
