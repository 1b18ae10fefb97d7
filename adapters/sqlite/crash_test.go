package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
)

// Kill -9 leaves the page cache alone, so this proves the transactions and the
// recovery, not the fsync; that synchronous is FULL is checked when the file is opened.
func TestTortureWhatWasAcknowledgedSurvivesKill9(t *testing.T) {
	const endless = 1 << 30
	path := newPath(t)
	for kill := range 20 * eventstoretest.Scale {
		process, acked := startChild(t, path, fmt.Sprintf("kill-%d", kill), endless)
		for range 1 + rand.IntN(60) {
			require.True(t, acked.Scan(), "the child ended by itself")
		}
		require.NoError(t, process.Process.Kill())
		_ = process.Wait() // "signal: killed"

		store := openStore(t, path)
		tried := outcomes(t, path)
		retryAll(t, store, tried)
		found, err := findings(t.Context(), store, tried)
		require.NoError(t, err)
		require.Empty(t, found, "after kill %d", kill+1)
		require.NoError(t, store.Close(t.Context()))
	}
}

// retryAll does what clients do after a crash: they repeat every command that they
// cannot be sure of. Those that were acknowledged must be known.
func retryAll(t *testing.T, store eventstore.Store, tried map[string]eventstore.Position) {
	t.Helper()
	for name, at := range tried {
		receipt, err := store.Append(t.Context(), request(name))
		require.NoError(t, err)
		if at == 0 {
			tried[name] = receipt.Token.Position
			continue
		}
		require.True(t, receipt.Repeated, "%s was acknowledged and is not known", name)
		require.Equal(t, at, receipt.Token.Position, name)
	}
}
