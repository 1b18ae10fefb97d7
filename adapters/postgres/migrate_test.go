package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
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
	require.Equal(t, 1, ran)
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

// A program of the release before runs on a schema of this one, if the step says so; then it
// need not be stopped for the migration. It never migrates what it does not know.
func TestAProgramRunsOnANewerSchemaThatAllowsIt(t *testing.T) {
	for oldest, want := range map[int]error{1: nil, 2: ErrNewerSchema} {
		pool := internalPool(t)
		known, err := Migrations("")
		require.NoError(t, err)
		next := Migration{Number: 2, Name: "imaginary", SQL: fmt.Sprintf(
			`ALTER TABLE leftfold.events ADD COLUMN imaginary text; INSERT INTO leftfold.migrations (number, name, oldest) VALUES (2, 'imaginary', %d)`, oldest)}
		_, err = migrate(t.Context(), pool, DefaultSchema, append(known, next), false)
		require.NoError(t, err)

		_, err = Migrate(t.Context(), pool, MigrateOptions{})
		require.ErrorIs(t, err, ErrNewerSchema)
		if want != nil {
			_, err = Open(t.Context(), pool, Options{})
			require.ErrorIs(t, err, want)
			continue
		}
		openAndAppend(t, pool, "")
	}
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
