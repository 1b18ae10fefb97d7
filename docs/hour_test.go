//go:build unix

package docs_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
)

// The tutorial is done as a newcomer does it: all commands, edits and builds, in a directory of its own. The how-to
// pages are done with what it leaves there.
func TestTortureTheFirstHour(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.here["localhost:8080"], d.here["localhost:8090"] = freeAddress(t), freeAddress(t)
	d.here["/home/ada/leftfold"] = d.dir
	d.here["postgres://postgres:secret@localhost:5432/postgres?sslmode=disable"] = postgrestest.URL(t)
	d.does(readPage(t, "tutorial/first-hour.md"))
	guides, err := filepath.Glob("how-to/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, guides)
	for _, guide := range guides {
		d.does(readPage(t, guide))
	}
}

// does does what a page says. With LEFTFOLD_WRITE_GOLDEN the page shows from then on what was printed.
func (d *desk) does(p *page) {
	d.t.Helper()
	if os.Getenv("LEFTFOLD_WRITE_GOLDEN") != "" {
		d.writes = []written{}
		defer func() { p.write(d.t, d.writes) }()
	}
	for n, b := range p.blocks {
		if b.language == "diff" && strings.Contains(b.edit().before, "[:5]") && d.writes == nil {
			d.forgets(p.blocks[n+1:])
		}
		require.NoError(d.t, d.do(b), "%s: %s\nthe second terminal: %s", p.file, b, d.printed)
	}
}

// forgets is a reader who has not mended the fold: he does not get what the page shows.
func (d *desk) forgets(rest []block) {
	for _, b := range rest {
		if strings.Contains(b.text, "dead-letters retry") {
			require.ErrorContains(d.t, d.do(b), "keys stay parked", "the planted bug was not found")
			return
		}
	}
	d.t.Error("the page retries nothing")
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().String()
}
