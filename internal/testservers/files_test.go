package testservers_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// For what only another process can tell: a limit that a busy machine keeps, and a pause.
const (
	waitLimit = 30 * time.Second
	tick      = 5 * time.Millisecond
)

// shortDir is a directory that the servers' user can enter and whose path leaves room for
// a socket, which t.TempDir does not promise.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "lf-test-") //nolint:usetesting // too long, see above
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, os.Mkdir(dir, 0o755))
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	found, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, entry := range found {
		names = append(names, entry.Name())
	}
	return names
}
