// Package programtest builds a program for tests that run it as a process.
package programtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Program is built when a test first asks for it, and once.
type Program struct {
	build func() (path string, err error)
	dir   string
}

// New returns the program of a package, built with flags of go build. Run the tests by [Program.Main].
func New(pkg string, flags ...string) *Program {
	p := &Program{}
	p.build = sync.OnceValues(func() (_ string, err error) {
		if p.dir, err = os.MkdirTemp("", "leftfold-program-"); err != nil {
			return "", err
		}
		if err := os.Chmod(p.dir, 0o755); err != nil { // other users may run it
			return "", err
		}
		path := filepath.Join(p.dir, "program")
		build := exec.CommandContext(context.Background(), "go", append(append([]string{"build", "-buildvcs=false", "-o", path}, flags...), pkg)...)
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // without the race detector even if the test has it
		if output, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w: %s", pkg, err, output)
		}
		return path, nil
	})
	return p
}

// Path returns where the program is.
func (p *Program) Path(t testing.TB) string {
	t.Helper()
	path, err := p.build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Main is the TestMain of who has a program: it runs the tests, removes the program and ends the process.
func (p *Program) Main(m *testing.M) {
	code := m.Run()
	if p.dir != "" {
		_ = os.RemoveAll(p.dir)
	}
	os.Exit(code)
}
