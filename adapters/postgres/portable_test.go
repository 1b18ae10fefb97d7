package postgres_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
)

func note(to eventstore.StreamID) eventstore.AppendRequest {
	return eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: to, Events: []eventstore.EventData{{Type: "noted"}}}}}
}

// appendAfterImport opens a store whose appender is connected before an import, and appends through it afterwards.
// plant is run between the two.
func appendAfterImport(t *testing.T, pool *pgxpool.Pool, plant string) error {
	t.Helper()
	before, importer := openOn(t, pool, postgres.Options{}), openOn(t, pool, postgres.Options{})
	refused := note("note-1")
	refused.Writes[0].Expected = eventstore.StreamExists
	_, err := before.Append(t.Context(), refused) // it connects, and the store is empty still
	require.ErrorIs(t, err, eventstore.ErrVersionConflict)
	life, err := importer.BeginImport(t.Context(), eventstore.NewStoreID())
	require.NoError(t, err)
	_, err = before.Append(t.Context(), note("note-1"))
	require.ErrorIs(t, err, eventstore.ErrImporting)
	require.NoError(t, importer.EndImport(t.Context(), eventstore.Token{Identity: life}))
	_, err = pool.Exec(t.Context(), plant)
	require.NoError(t, err)
	_, err = before.Append(t.Context(), note("note-1"))
	return err
}

// Its receipts would carry the id of a store that is there no more.
func TestWhoHadTheStoreOpenBeforeAnImportIsRefusedUntilHeOpensItAgain(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	require.ErrorContains(t, appendAfterImport(t, pool, ""), "open the store anew")
	again := openOn(t, pool, postgres.Options{})
	receipt, err := again.Append(t.Context(), note("note-1"))
	require.NoError(t, err)
	require.Equal(t, headOf(t, again), receipt.Token.Position)
}

func TestMutantAnImportWithoutItsFenceIsCaught(t *testing.T) {
	t.Parallel()
	require.NoError(t, appendAfterImport(t, newPool(t), "DELETE FROM leftfold.fences"), "the store of before appends")
}
