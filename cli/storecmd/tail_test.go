package storecmd

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/testservers"
)

func noted(t testing.TB, store eventstore.Appender) {
	t.Helper()
	_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "note-1", Events: []eventstore.EventData{{Type: "noted"}}}}})
	require.NoError(t, err)
}

func TestTortureTailGoesOnWhenPostgresHasCrashedAndComesBack(t *testing.T) {
	t.Parallel()
	postgrestest.Pool(t) // skips, or fails, where there is no Postgres
	server, err := testservers.StartPostgres(t.Context(), testservers.PostgresOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	database, err := server.NewDatabase(t.Context(), "")
	require.NoError(t, err)
	pool, err := pgxpool.New(t.Context(), server.URL(database))
	require.NoError(t, err)
	defer pool.Close()
	_, err = postgres.Migrate(t.Context(), pool, postgres.MigrateOptions{})
	require.NoError(t, err)
	appendOne := func() {
		store, err := postgres.Open(t.Context(), pool, postgres.Options{})
		require.NoError(t, err)
		noted(t, store)
		require.NoError(t, store.Close(t.Context()))
	}

	appendOne()
	ctx, stop := context.WithCancel(t.Context())
	out, ended := make(lines), make(chan int, 1)
	go func() {
		ended <- runTo(ctx, out, "tail", "-f", "--after", "0", "-o", "jsonl", "--store", server.URL(database))
	}()
	for n := 1; n <= 3; n++ {
		require.Contains(t, <-out, fmt.Sprintf(`"position":%d`, n))
		if n < 3 {
			require.NoError(t, server.Crash(t.Context()))
			require.NoError(t, server.Restart(t.Context()))
			pool.Reset()
			appendOne()
		}
	}
	stop()
	assert.Equal(t, cli.ExitOK, <-ended)
}

// What comes after a position of one log is nothing that follows it in another.
func TestTailEndsWhenTheLogIsAnotherOne(t *testing.T) {
	t.Parallel()
	before, after := memory.NewStore(), memory.NewStore()
	noted(t, before)
	noted(t, after)
	view := tail{after: 1, stdout: make(lines)}
	at, err := view.begin(t.Context(), before)
	require.NoError(t, err)
	require.NoError(t, view.next(t.Context(), before, eventstore.Query{}, &at))
	noted(t, after)
	require.ErrorIs(t, view.next(t.Context(), after, eventstore.Query{}, &at), eventstore.ErrDiverged)
}
