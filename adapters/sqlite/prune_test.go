package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

// A clock that is set back makes younger commands look older. Times decide nothing behind the
// first id that is to be kept; by themselves they would have four more forgotten.
func TestPruningGoesByPositionWhereTheClockWasSetBack(t *testing.T) {
	noon := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	hour := 0
	store := openInternalWith(t, Options{Now: func() time.Time { return noon.Add(time.Duration(hour) * time.Hour) }})
	at := func(h int, id string, events bool) {
		hour = h
		request := placed("order-1", id)
		if !events {
			request.Writes = nil
		}
		request.Command.ID = eventstore.NewCommandID(id)
		_, err := store.Append(t.Context(), request)
		require.NoError(t, err)
	}
	at(-5, "first", true)
	at(-4, "empty", false)
	at(-3, "same place", true)
	at(0, "kept, of no events", false)
	at(-2, "clock set back", true)
	at(-9, "clock set back, of no events", false)
	at(1, "kept", true)
	at(-1, "set back again", true)
	require.Equal(t, 6, count(t, store, "SELECT count(*) FROM commands WHERE recorded_at < ?1", noon.UnixMicro()))

	pruned, err := store.PruneCommands(t.Context(), noon)
	require.NoError(t, err)
	require.EqualValues(t, 2, pruned)
	for id, want := range map[string]bool{
		"first": false, "empty": false, "same place": true, "kept, of no events": true, "clock set back": true,
		"clock set back, of no events": true, "kept": true, "set back again": true,
	} {
		_, known, err := store.LookupCommand(t.Context(), eventstore.Command{ID: eventstore.NewCommandID(id)})
		require.NoError(t, err)
		require.Equal(t, want, known, id)
	}
	pruned, err = store.PruneCommands(t.Context(), noon.Add(2*time.Hour))
	require.NoError(t, err)
	require.EqualValues(t, 6, pruned)
}

func count(t *testing.T, store *Store, text string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, store.file.readers.db.QueryRowContext(t.Context(), text, args...).Scan(&n))
	return n
}

// 2,500 ids are three pages. Of one whose commit fails none is forgotten, and those before it stay
// forgotten.
func TestPruningThatFailsHalfWayGoesOnWhenItIsCalledAgain(t *testing.T) {
	store := openInternal(t)
	fill := func(tx *transaction) error {
		for n := range 2500 {
			id := eventstore.NewCommandID(fmt.Sprint(n))
			if err := tx.exec(t.Context(), insertCommandSQL, id[:], id[:], n, "{}", n); err != nil {
				return err
			}
		}
		return nil
	}
	require.NoError(t, store.file.write(t.Context(), fill))
	commit, commits := store.file.commit, 0
	store.file.commit = func(tx *sql.Tx) error {
		if commits++; commits == 2 {
			return context.DeadlineExceeded
		}
		return commit(tx)
	}
	pruned, err := store.PruneCommands(t.Context(), time.Now())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.EqualValues(t, 1000, pruned)
	require.Equal(t, 1500, count(t, store, "SELECT count(*) FROM commands"))
	pruned, err = store.PruneCommands(t.Context(), time.Now())
	require.NoError(t, err)
	require.EqualValues(t, 1500, pruned)
	require.Equal(t, 4, commits)
}

// The trigger yields to pruning only, and only for as long as that takes.
func TestCommandIDsAreRemovedByPruningOnly(t *testing.T) {
	store := openInternal(t)
	remove := func() error {
		return store.file.write(t.Context(), func(tx *transaction) error { return tx.exec(t.Context(), "DELETE FROM commands") })
	}
	for _, id := range []string{"old", "young"} {
		request := placed("order-1", id)
		request.Command.ID = eventstore.NewCommandID(id)
		_, err := store.Append(t.Context(), request)
		require.NoError(t, err)
		require.ErrorContains(t, remove(), "remembered for ever")
		if id == "old" {
			_, err = store.PruneCommands(t.Context(), time.Now().Add(time.Hour))
			require.NoError(t, err)
			require.Zero(t, count(t, store, "SELECT prunable FROM store"))
		}
	}
	require.Equal(t, 1, count(t, store, "SELECT count(*) FROM commands"))
}

func TestPruningDoesNotWaitForItsCallersTransaction(t *testing.T) {
	store := openInternal(t)
	_, err := store.PruneCommands(context.WithValue(t.Context(), ownTransaction{store.file}, true), time.Now())
	require.ErrorIs(t, err, ErrOwnTransaction)
}
