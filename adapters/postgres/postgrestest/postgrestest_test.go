package postgrestest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
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
