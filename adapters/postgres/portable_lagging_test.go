package postgres_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
)

// The address leads to two servers, and the one that answers after the log has been read lags. It
// would leave out the ids of the last commands, in no order that shows it.
func TestCommandIDsAreNotReadFromAServerThatLags(t *testing.T) {
	t.Parallel()
	primary, replica := replicated(t)
	writer := openOn(t, poolOn(t, primary.URL("postgres")), postgres.Options{})
	appendNamed(t, writer, 0, 5)
	require.NoError(t, replica.CatchUp(t.Context()))
	require.NoError(t, replica.PauseReplay(t.Context()))
	appendNamed(t, writer, 5, 10)
	store, first := openOnTwo(t, primary, replica)
	first.Store(1)
	_, err := commandsOf(t, store)
	require.ErrorIs(t, err, eventstore.ErrStoreBusy)
	require.ErrorContains(t, err, "this server is behind")

	require.NoError(t, replica.ResumeReplay(t.Context()))
	require.NoError(t, replica.CatchUp(t.Context()))
	first.Store(1)
	commands, err := commandsOf(t, store)
	require.NoError(t, err)
	require.Equal(t, 10, commands)
}

// appendNamed appends an event for each of the numbers, by a command of its own.
func appendNamed(t *testing.T, store *postgres.Store, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		named := note(eventstore.NewStreamID("note", fmt.Sprint(n)))
		named.Command.ID = eventstore.NewCommandID(fmt.Sprint(n))
		_, err := store.Append(t.Context(), named)
		require.NoError(t, err)
	}
}

// commandsOf begins a read of the log, and counts the commands up to its end.
func commandsOf(t *testing.T, store *postgres.Store) (n int, err error) {
	t.Helper()
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	for _, err := range store.ReadCommands(t.Context(), read.Through) {
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
