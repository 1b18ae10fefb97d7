//go:build unix

package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
)

// awaitEvents waits until the store in the directory has so many events.
func awaitEvents(t *testing.T, dir string, n eventstore.Position) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "shop.db"), sqlite.Options{})
	require.NoError(t, err)
	defer store.Close(t.Context())
	for at := range n {
		require.NoError(t, eventstore.WaitAppended(t.Context(), store, at))
	}
}

// The import is killed between two of its transactions, while it waits for the rest of the file.
func TestTortureAnImportThatWasKilledGoesOnAndNothingComesTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	source, err := sqlite.Open(t.Context(), at("source.db"), sqlite.Options{})
	require.NoError(t, err)
	for n := range 3 {
		_, err := source.Append(t.Context(), eventstore.AppendRequest{
			Command: eventstore.Command{ID: eventstore.CommandID{byte(n + 1)}},
			Writes:  []eventstore.Write{{Stream: "note-1", Events: slices.Repeat([]eventstore.EventData{{Type: "noted"}}, 1000)}},
		})
		require.NoError(t, err)
	}
	require.NoError(t, source.Close(t.Context()))
	require.Equal(t, cli.ExitOK, leftfold(t.Context(), "export", at("first"), "--store", "sqlite:"+at("source.db")).code)
	content, err := os.ReadFile(at("first"))
	require.NoError(t, err)

	target := "sqlite:" + at("shop.db")
	cmd := process(t, "import", "-", "--store", target)
	rest, err := cmd.StdinPipe()
	require.NoError(t, err)
	end := begin(cmd)
	_, err = rest.Write(content[:len(content)*2/3])
	require.NoError(t, err)
	awaitEvents(t, dir, 1000)
	require.NoError(t, cmd.Process.Kill())
	end()

	r := leftfold(t.Context(), "import", at("first"), "--store", target)
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	require.Equal(t, cli.ExitOK, leftfold(t.Context(), "export", at("second"), "--store", target).code)
	again, err := os.ReadFile(at("second"))
	require.NoError(t, err)
	assert.Equal(t, content, again)
}
