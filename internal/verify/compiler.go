package main

import (
	"context"
	"io"
	"os"
	"strings"
)

// cCompiler makes sure that a C program can be built: the race detector is the one
// thing here that needs cgo.
func cCompiler(ctx context.Context, log io.Writer) (string, error) {
	if compiles(ctx, log) == nil {
		return "", nil
	}
	detail, err := aptInstall(ctx, log, nil, "gcc", "libc6-dev")
	if err != nil {
		return "", err
	}
	return detail, compiles(ctx, log)
}

func compiles(ctx context.Context, log io.Writer) error {
	cmd := program{name: "gcc", args: []string{"-x", "c", "-o", os.DevNull, "-"}}.cmd(ctx, log, log)
	cmd.Stdin = strings.NewReader("#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n")
	return cmd.Run()
}
