package postgrestest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/eventstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryTestGetsAnEmptyDatabaseThatGoesWithIt(t *testing.T) {
	var urls []string
	for _, name := range []string{"one", "two"} {
		t.Run(name, func(t *testing.T) {
			url := postgrestest.URL(t)
			conn, err := pgx.Connect(t.Context(), url) // left open: the database is dropped nevertheless
			require.NoError(t, err)
			_, err = conn.Exec(t.Context(), "CREATE TABLE t ()")
			require.NoError(t, err, "it is not empty")
			urls = append(urls, url)
		})
	}
	if len(urls) == 0 {
		t.Skip("the tests above were skipped")
	}
	assert.NotEqual(t, urls[0], urls[1])
	for _, url := range urls {
		_, err := pgx.Connect(t.Context(), url)
		assert.ErrorContains(t, err, "does not exist")
	}
}

func TestEveryTestGetsAnEmptyStoreOfItsOwn(t *testing.T) {
	seen := map[eventstore.StoreID]bool{}
	for range 3 {
		store := postgrestest.Open(t)
		head, err := store.Head(t.Context())
		require.NoError(t, err)
		require.Zero(t, head.Position)
		require.NotContains(t, seen, head.Store)
		require.EqualValues(t, 1, head.Incarnation)
		seen[head.Store] = true
		_, err = store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{
			{Stream: "order-1", Events: []eventstore.EventData{{Type: "order.placed"}}},
		}})
		require.NoError(t, err)
	}
}

func TestTheStoreIsClosedWithItsTest(t *testing.T) {
	var store eventstore.Store
	t.Run("inner", func(t *testing.T) { store = postgrestest.Open(t) })
	if store == nil {
		t.Skip("the test above was skipped")
	}
	_, err := store.Head(t.Context())
	require.ErrorIs(t, err, eventstore.ErrClosed)
}
