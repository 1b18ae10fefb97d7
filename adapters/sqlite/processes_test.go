package sqlite_test

import (
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
)

func TestTwoProcessesWriteOneFile(t *testing.T) {
	const commands = 100
	path := newPath(t)
	store := openStore(t, path)
	process, acked := startChild(t, path, "theirs", commands)
	require.True(t, acked.Scan(), "the child is writing")

	journal, err := openJournal(path)
	require.NoError(t, err)
	defer journal.file.Close()
	ours := workload{name: "ours", commands: commands, journal: journal, acked: io.Discard}
	require.NoError(t, ours.run(t.Context(), store))

	for acked.Scan() { // until the child closes its end
	}
	require.NoError(t, process.Wait())
	tried := outcomes(t, path)
	require.Len(t, tried, 2*clients*commands)
	found, err := findings(t.Context(), store, tried)
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestAnAppendOfAnotherProcessWakesAWaiter(t *testing.T) {
	path := newPath(t)
	store := openStore(t, path)
	woken := make(chan error, 1)
	go func() { woken <- store.WaitAppended(t.Context(), 0) }()
	process, acked := startChild(t, path, "theirs", 1)
	require.NoError(t, <-woken)
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	require.Positive(t, head.Position)
	for acked.Scan() { // until the child closes its end
	}
	require.NoError(t, process.Wait())
}

func TestANewFileMayBeCreatedByManyProcessesAtOnce(t *testing.T) {
	for range 5 {
		path := newPath(t)
		var wait []func()
		for n := range 4 {
			process, acked := startChild(t, path, fmt.Sprint(n), 1)
			wait = append(wait, func() {
				for acked.Scan() { // until the child closes its end
				}
				require.NoError(t, process.Wait())
			})
		}
		for _, done := range wait {
			done()
		}
		store := openStore(t, path)
		found, err := findings(t.Context(), store, outcomes(t, path))
		require.NoError(t, err)
		require.Empty(t, found)
	}
}

func TestANewFileMayBeOpenedByManyAtOnce(t *testing.T) {
	for range 10 {
		path := newPath(t)
		var all sync.WaitGroup
		stores, failed := make(chan *sqlite.Store, 8), make(chan error, 8)
		for range 8 {
			all.Go(func() {
				store, err := sqlite.Open(t.Context(), path, sqlite.Options{})
				if err != nil {
					failed <- err
					return
				}
				stores <- store
			})
		}
		all.Wait()
		close(failed)
		require.NoError(t, <-failed)
		first := <-stores
		want, err := first.Head(t.Context())
		require.NoError(t, err)
		require.NoError(t, first.Close(t.Context()))
		for range 7 {
			other := <-stores
			head, err := other.Head(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, head, "one identity")
			require.NoError(t, other.Close(t.Context()))
		}
	}
}
