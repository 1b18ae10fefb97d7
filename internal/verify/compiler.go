package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// cCompiler makes sure that a C program can be built: the race detector is the one
// thing here that needs cgo.
func cCompiler(ctx context.Context, log io.Writer) (string, error) {
	if compiles(ctx, log) == nil {
		return "", nil
	}
	sudo, err := asRoot(ctx)
	if err != nil {
		return "", err
	}
	for _, args := range [][]string{
		{"apt-get", "update", "-q"},
		{"apt-get", "install", "-q", "-y", "--no-install-recommends", "gcc", "libc6-dev"},
	} {
		args = append(sudo, args...)
		apt := program{name: args[0], args: args[1:], env: []string{"DEBIAN_FRONTEND=noninteractive"}}
		if _, err := apt.run(ctx, log); err != nil {
			return "", fmt.Errorf("%s: %w", strings.Join(args, " "), err)
		}
	}
	return "installed gcc", compiles(ctx, log)
}

func compiles(ctx context.Context, log io.Writer) error {
	cmd := program{name: "gcc", args: []string{"-x", "c", "-o", os.DevNull, "-"}}.cmd(ctx, log, log)
	cmd.Stdin = strings.NewReader("#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n")
	return cmd.Run()
}

// asRoot returns what to write before a command that needs root.
func asRoot(ctx context.Context) ([]string, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, missing("no C compiler, and no apt-get to install one: install gcc")
	}
	if os.Geteuid() == 0 {
		return nil, nil
	}
	if exec.CommandContext(ctx, "sudo", "-n", "true").Run() == nil {
		return []string{"sudo", "-n", "--preserve-env=DEBIAN_FRONTEND"}, nil
	}
	return nil, missing("no C compiler, and neither root nor sudo to install one: apt-get install gcc libc6-dev")
}
