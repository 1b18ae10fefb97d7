package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/pgproxy"
)

func TestADryRunTellsAndDoesNothing(t *testing.T) {
	pool := internalPool(t)
	steps, err := Migrate(t.Context(), pool, MigrateOptions{Schema: "other", DryRun: true})
	require.NoError(t, err)
	known, err := Migrations("other")
	require.NoError(t, err)
	require.Equal(t, known, steps)
	require.Contains(t, steps[0].SQL, `CREATE TABLE "other".events`)
	_, err = Open(t.Context(), pool, Options{Schema: "other"})
	require.ErrorIs(t, err, ErrNoStore)
	require.ErrorContains(t, err, "postgres.Migrate")
}

func TestMigratingAgainDoesNothing(t *testing.T) {
	steps, err := Migrate(t.Context(), internalPool(t), MigrateOptions{})
	require.NoError(t, err)
	require.Empty(t, steps)
}

func TestProgramsThatMigrateAtTheSameTimeWaitForEachOther(t *testing.T) {
	pool := internalPool(t)
	var all sync.WaitGroup
	errs, steps := make([]error, 4), make([][]Migration, 4)
	for n := range errs {
		all.Go(func() { steps[n], errs[n] = Migrate(t.Context(), pool, MigrateOptions{Schema: "other"}) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	ran := 0
	for _, s := range steps {
		ran += len(s)
	}
	known, err := Migrations("other")
	require.NoError(t, err)
	require.Equal(t, len(known), ran)
}

func TestMigrateRunsAtReadCommittedWhateverTheDefaultIs(t *testing.T) {
	owner := internalPool(t)
	for _, set := range []string{"default_transaction_isolation = 'repeatable read'", "default_transaction_read_only = on"} {
		_, err := owner.Exec(t.Context(), "ALTER DATABASE "+owner.Config().ConnConfig.Database+" SET "+set)
		require.NoError(t, err)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), owner.Config()) // its sessions have the new defaults
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	var all sync.WaitGroup
	errs := make([]error, 8)
	for n := range errs {
		all.Go(func() { _, errs[n] = Migrate(t.Context(), pool, MigrateOptions{Schema: "other"}) })
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	steps, err := Migrate(t.Context(), pool, MigrateOptions{Schema: "other", DryRun: true})
	require.NoError(t, err)
	require.Empty(t, steps)
}

func TestMigrateSaysWhatTheServerMeans(t *testing.T) {
	pool := internalPool(t)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Migrate(canceled, pool, MigrateOptions{})
	require.ErrorIs(t, err, context.Canceled)

	_, err = pool.Exec(t.Context(), "CREATE SCHEMA taken; CREATE TABLE taken.events ()")
	require.NoError(t, err)
	_, err = Migrate(t.Context(), pool, MigrateOptions{Schema: "taken"})
	require.ErrorIs(t, err, errServer)
	require.ErrorContains(t, err, "migration 1")

	away := pool.Config()
	away.ConnConfig.Host, away.ConnConfig.Port = "127.0.0.1", 1
	none, err := pgxpool.NewWithConfig(t.Context(), away)
	require.NoError(t, err)
	t.Cleanup(none.Close)
	_, err = Migrate(t.Context(), none, MigrateOptions{})
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorIs(t, Grant(t.Context(), none, "", "somebody", ToRead), ErrUnavailable)
}

func TestWhatAnotherToolHasRunIsNotRunAgain(t *testing.T) {
	pool := internalPool(t)
	steps, err := Migrations("other")
	require.NoError(t, err)
	for _, s := range steps {
		_, err := pool.Exec(t.Context(), s.SQL)
		require.NoError(t, err)
	}
	again, err := Migrate(t.Context(), pool, MigrateOptions{Schema: "other"})
	require.NoError(t, err)
	require.Empty(t, again)
	openAndAppend(t, pool, "other")
}

func TestAStepThatFailsLeavesNothing(t *testing.T) {
	pool := internalPool(t)
	steps, err := Migrations("other")
	require.NoError(t, err)
	broken := slices.Concat(steps, []Migration{{Number: len(steps) + 1, Name: "broken", SQL: "CREATE TABLE other.half (); SELECT 1/0"}})
	_, err = migrate(t.Context(), pool, "other", broken, false)
	require.ErrorContains(t, err, "broken")
	var schemas int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_namespace WHERE nspname = 'other'").Scan(&schemas))
	require.Zero(t, schemas)
}

// nextStep is an additive step as a later release may bring: a column, a table and other bodies
// of the functions that append. It says which step a program must know.
func nextStep(number, oldest int) Migration {
	return Migration{Number: number, Name: "imaginary", SQL: fmt.Sprintf(`
		ALTER TABLE leftfold.events ADD COLUMN imaginary text;
		CREATE TABLE leftfold.imaginary (name text PRIMARY KEY);
		DO $step$ BEGIN
			EXECUTE regexp_replace(pg_get_functiondef('leftfold.append'::regproc), '\mBEGIN\M', E'BEGIN\n-- of the next release\n');
			EXECUTE regexp_replace(pg_get_functiondef('leftfold.append_one'::regproc), '\mBEGIN\M', E'BEGIN\n-- of the next release\n');
		END $step$;
		INSERT INTO leftfold.migrations (number, name, oldest) VALUES (%d, 'imaginary', %d)`, number, oldest)}
}

func bringToNextStep(t *testing.T, pool *pgxpool.Pool, oldest int) {
	t.Helper()
	known, err := Migrations("")
	require.NoError(t, err)
	_, err = migrate(t.Context(), pool, DefaultSchema, append(known, nextStep(len(known)+1, oldest)), false)
	require.NoError(t, err)
}

// A program of the release before runs on a schema of this one, if the step says so. It need
// not be stopped for the migration: the store that was open goes on too.
func TestAProgramRunsOnANewerSchemaThatAllowsIt(t *testing.T) {
	t.Parallel()
	pool := internalPool(t)
	cutNext, through := proxied(t, pool)
	before := openInternal(t, through)
	fullRun(t, before, cutNext, "before")
	bringToNextStep(t, pool, 1)
	var changed int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_proc WHERE prosrc LIKE '%of the next release%'").Scan(&changed))
	require.Equal(t, 2, changed)

	fullRun(t, before, cutNext, "open all the while")
	fullRun(t, openInternal(t, through), cutNext, "opened afterwards")
	_, err := Migrate(t.Context(), pool, MigrateOptions{})
	require.ErrorIs(t, err, ErrNewerSchema, "it never migrates what it does not know")
}

func TestAProgramDoesNotRunOnANewerSchemaThatForbidsIt(t *testing.T) {
	pool := internalPool(t)
	known, err := Migrations("")
	require.NoError(t, err)
	bringToNextStep(t, pool, len(known)+1)
	_, err = Open(t.Context(), pool, Options{})
	require.ErrorIs(t, err, ErrNewerSchema)
	_, err = Migrate(t.Context(), pool, MigrateOptions{})
	require.ErrorIs(t, err, ErrNewerSchema)
}

// TestMutantANewerSchemaThatBreaksAProgramIsFound: a step that is not additive makes the run
// above fail.
func TestMutantANewerSchemaThatBreaksAProgramIsFound(t *testing.T) {
	pool := internalPool(t)
	_, err := pool.Exec(t.Context(), "ALTER TABLE leftfold.events ADD COLUMN imaginary text NOT NULL")
	require.NoError(t, err)
	_, err = openInternal(t, pool).Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "order-1", Events: []eventstore.EventData{{Type: "order.placed"}}},
	}})
	require.Error(t, err)
}

// fullRun uses everything that touches the schema: appends with versions, conditions and
// command ids, reads, a deletion, and a batch and a lone event whose answers are lost.
func fullRun(t *testing.T, store *Store, cutNext func() (cuts func() int), name string) {
	t.Helper()
	ctx, stream, tag := t.Context(), eventstore.NewStreamID("order", name), eventstore.NewTag("run", name)
	request := eventstore.AppendRequest{
		Command: eventstore.Command{ID: eventstore.NewCommandID(name)},
		Writes: []eventstore.Write{{Stream: stream, Expected: eventstore.NoStream, Events: []eventstore.EventData{
			{Type: "order.placed", Tags: []eventstore.Tag{tag}, Data: []byte(name)}, {Type: "order.paid"},
		}}},
		Condition: &eventstore.Condition{FailIf: eventstore.Tagged(tag)},
	}
	first, err := store.Append(ctx, request)
	require.NoError(t, err)
	again, err := store.Append(ctx, request)
	require.NoError(t, err)
	require.True(t, again.Repeated)
	require.Equal(t, first.Token, again.Token)
	request.Command.ID = eventstore.CommandID{}
	_, err = store.Append(ctx, request)
	require.ErrorIs(t, err, eventstore.ErrVersionConflict)
	request.Writes[0].Expected = eventstore.Any
	_, err = store.Append(ctx, request)
	require.ErrorIs(t, err, eventstore.ErrConditionFailed)

	cuts := cutNext()
	request.Condition = nil
	settled, err := store.Append(ctx, request)
	require.NoError(t, err, "its answer was lost")
	require.Equal(t, 1, cuts())
	require.EqualValues(t, 4, settled.Versions[stream])
	require.Equal(t, first.Token.Position+2, settled.Token.Position, "it was appended once")

	lone := eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Expected: eventstore.Exactly(4), Events: []eventstore.EventData{{Type: "order.sent"}}}}}
	_, err = store.Append(ctx, lone)
	require.NoError(t, err)
	lone.Writes[0].Expected = eventstore.Exactly(5)
	cuts = cutNext()
	settled, err = store.Append(ctx, lone)
	require.NoError(t, err, "so was that of a lone event")
	require.Equal(t, 1, cuts())
	require.Equal(t, first.Token.Position+4, settled.Token.Position)
	_, err = store.Append(ctx, lone)
	require.ErrorIs(t, err, eventstore.ErrVersionConflict)

	var types []string
	for e, err := range store.ReadStream(ctx, stream, eventstore.StreamRange{}) {
		require.NoError(t, err)
		types = append(types, e.Type)
	}
	require.Equal(t, []string{"order.placed", "order.paid", "order.placed", "order.paid", "order.sent", "order.sent"}, types)
	read, err := store.ReadLog(ctx, eventstore.LogQuery{Query: eventstore.Tagged(tag)})
	require.NoError(t, err)
	tagged := 0
	for e, err := range read.Events() {
		require.NoError(t, err)
		require.Equal(t, name, string(e.Data))
		tagged++
	}
	require.Equal(t, 2, tagged)
	require.NoError(t, store.WaitAppended(ctx, settled.Token.Position-1))
	_, err = store.DeleteStream(ctx, stream, eventstore.Exactly(6))
	require.NoError(t, err)
}

// proxied returns a pool through a proxy on which the answer of the next append can be lost.
func proxied(t *testing.T, pool *pgxpool.Pool) (cutNext func() (cuts func() int), through *pgxpool.Pool) {
	t.Helper()
	var armed atomic.Bool
	var cut atomic.Int32
	appending := -1 // the connection whose next ReadyForQuery ends the append; only the hook's
	config := pool.Config().ConnConfig
	proxy, err := pgproxy.Start(t.Context(), fmt.Sprintf("%s:%d", config.Host, config.Port), func(f pgproxy.Frame) pgproxy.Action {
		switch {
		case f.FromClient && f.Type == pgproxy.Bind && appends(f.Payload) && armed.CompareAndSwap(true, false):
			appending = f.Conn
		case !f.FromClient && f.Type == pgproxy.ReadyForQuery && f.Conn == appending:
			appending = -1
			cut.Add(1)
			return pgproxy.Cut
		}
		return pgproxy.Forward
	})
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	through, err = pgxpool.New(t.Context(), fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", config.User, proxy.Addr(), config.Database))
	require.NoError(t, err)
	t.Cleanup(through.Close)
	return func() func() int {
		before := cut.Load()
		armed.Store(true)
		return func() int { return int(cut.Load() - before) }
	}, through
}

func appends(bind []byte) bool {
	return bytes.Contains(bind, []byte("/append\x00")) || bytes.Contains(bind, []byte("/append_one\x00"))
}

func openInternal(t *testing.T, pool *pgxpool.Pool) *Store {
	t.Helper()
	store, err := Open(t.Context(), pool, Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
	return store
}

func TestAProgramDoesNotRunOnAnOlderSchema(t *testing.T) {
	require.ErrorIs(t, version{schema: DefaultSchema, number: 1, oldest: 1}.check(2), ErrOldSchema)
}

func TestSchemaNamesThatMeanSomethingElseAreRefused(t *testing.T) {
	for _, name := range []string{"Upper", "with-dash", `"quoted"`, "1st", "pg_mine", strings.Repeat("a", 49), "a; DROP TABLE x"} {
		_, err := Migrations(name)
		require.ErrorIs(t, err, eventstore.ErrInvalid, name)
	}
}

func TestStoresInTwoSchemasAreTwoStores(t *testing.T) {
	pool := internalPool(t)
	_, err := Migrate(t.Context(), pool, MigrateOptions{Schema: "user"}) // a reserved word
	require.NoError(t, err)
	one, two := openAndAppend(t, pool, ""), openAndAppend(t, pool, "user")
	require.NotEqual(t, one.Token.Store, two.Token.Store)
	require.EqualValues(t, 1, one.Token.Position)
	require.EqualValues(t, 1, two.Token.Position)
}

func openAndAppend(t *testing.T, pool *pgxpool.Pool, name string) eventstore.Receipt {
	t.Helper()
	store, err := Open(t.Context(), pool, Options{Schema: name})
	require.NoError(t, err)
	defer func() { require.NoError(t, store.Close(context.Background())) }()
	receipt, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "order-1", Events: []eventstore.EventData{{Type: "order.placed"}}},
	}})
	require.NoError(t, err)
	return receipt
}
