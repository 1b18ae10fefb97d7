package system

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Two peers keep their schema in a file that is not part of a package. It is read from
// the module cache, so that it is always the one of the version measured.

// moduleFile returns the text of a file of a module that go.mod requires.
func moduleFile(ctx context.Context, module, path string) (string, error) {
	dir, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return "", fmt.Errorf("find the source of %s (run it inside benchmarks/): %w", module, err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), path))
	return string(text), err
}

// execModuleFile runs the statements of such a file.
func execModuleFile(ctx context.Context, url, module, path string) error {
	schema, err := moduleFile(ctx, module, path)
	if err != nil {
		return err
	}
	return execScript(ctx, url, schema)
}
