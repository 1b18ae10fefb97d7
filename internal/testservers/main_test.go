package testservers_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leftfold/leftfold/internal/testservers"
)

func TestMain(m *testing.M) {
	if os.Getenv(childRuns) != "" {
		child()
		return
	}
	if err := testservers.Available(); err != nil && os.Getenv("LEFTFOLD_TEST") != "all" {
		fmt.Println("skipping: ", err)
		return
	}
	goleak.VerifyTestMain(m)
}

// postgres starts a server for one test.
func postgres(t *testing.T, settings map[string]string) *testservers.Postgres {
	t.Helper()
	server, err := testservers.StartPostgres(t.Context(), testservers.PostgresOptions{Settings: settings})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop(context.Background())) })
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(server.Log())
		}
	})
	return server
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec(t *testing.T, conn *pgx.Conn, statement string, args ...any) {
	t.Helper()
	_, err := conn.Exec(t.Context(), statement, args...)
	require.NoError(t, err)
}

func value[T any](t *testing.T, conn *pgx.Conn, query string, args ...any) T {
	t.Helper()
	var v T
	require.NoError(t, conn.QueryRow(t.Context(), query, args...).Scan(&v))
	return v
}
