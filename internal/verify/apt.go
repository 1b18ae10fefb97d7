package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// aptInstall installs Debian packages, as root or through sudo. It asks nothing, and needs
// no terminal.
func aptInstall(ctx context.Context, log io.Writer, options []string, packages ...string) (string, error) {
	words := strings.Join(packages, " ")
	sudo, err := asRoot(ctx, words)
	if err != nil {
		return "", err
	}
	install := append([]string{"apt-get", "install", "-q", "-y", "--no-install-recommends"}, options...)
	for _, args := range [][]string{{"apt-get", "update", "-q"}, append(install, packages...)} {
		args = append(sudo, args...)
		apt := program{name: args[0], args: args[1:], env: []string{"DEBIAN_FRONTEND=noninteractive"}}
		if _, err := apt.run(ctx, log); err != nil {
			return "", fmt.Errorf("%s: %w", strings.Join(args, " "), err)
		}
	}
	return "installed " + words, nil
}

// asRoot returns what to write before a command that needs root.
func asRoot(ctx context.Context, packages string) ([]string, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, missing("not on this machine, and no apt-get to install it: install " + packages)
	}
	if os.Geteuid() == 0 {
		return nil, nil
	}
	if exec.CommandContext(ctx, "sudo", "-n", "true").Run() == nil {
		return []string{"sudo", "-n", "--preserve-env=DEBIAN_FRONTEND"}, nil
	}
	return nil, missing("not on this machine, and neither root nor sudo to install it: apt-get install " + packages)
}

// programsOnly returns options for apt-get that install the programs of a server and
// nothing that runs: no service starts, now or at the next boot, and Debian makes no
// Postgres cluster. Packages do these by calling a few commands; for as long as apt-get
// runs, it finds ones in dir that do nothing instead.
//
// The documented ways, policy-rc.d and createcluster.conf, are files under /etc and /usr
// that a run which is killed would leave behind, and which somebody may have already.
func programsOnly(dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, command := range []string{"invoke-rc.d", "deb-systemd-invoke", "update-rc.d", "deb-systemd-helper", "pg_createcluster"} {
		if err := os.WriteFile(filepath.Join(dir, command), []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
			return nil, err
		}
	}
	return []string{"-o", "DPkg::Path=" + dir + ":/usr/sbin:/usr/bin:/sbin:/bin"}, nil
}
