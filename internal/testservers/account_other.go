//go:build !linux

package testservers

import (
	"fmt"
	"os/exec"
)

type account struct{}

func unprivileged() (account, error) {
	return account{}, fmt.Errorf("%w: it is no Linux", ErrUnavailable)
}

func (account) own(string) error { return nil }

func (account) become(*exec.Cmd) {}

func inOwnSession(*exec.Cmd) {}
