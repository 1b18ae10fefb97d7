//go:build unix

package docs_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// The tutorial is done as a newcomer does it: all commands, edits and builds, in a directory of its own.
func TestTortureTheFirstHour(t *testing.T) {
	t.Parallel()
	p, d := readPage(t, "tutorial/first-hour.md"), newDesk(t)
	d.here["localhost:8080"] = freeAddress(t)
	for _, b := range p.blocks {
		require.NoError(t, d.do(b), "%s: %s\nthe second terminal: %s", p.file, b, d.printed)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().String()
}
