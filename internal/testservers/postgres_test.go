package testservers_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/testservers"
)

func TestAServerAnswersOverTCPAndItsSocketAndIsDurable(t *testing.T) {
	t.Parallel()
	server := postgres(t, map[string]string{"work_mem": "7MB", "application_name": "it's"})
	for _, url := range []string{server.URL("postgres"), server.SocketURL("postgres")} {
		conn := connect(t, url)
		for setting, want := range map[string]string{
			"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on",
			"listen_addresses": "127.0.0.1", "work_mem": "7MB", "server_encoding": "UTF8", "lc_collate": "C",
		} {
			assert.Equal(t, want, value[string](t, conn, "SELECT current_setting($1)", setting), setting)
		}
	}
	assert.Contains(t, server.Log(), "database system is ready to accept connections")
}

func TestACommittedRowSurvivesEveryWayToFail(t *testing.T) {
	t.Parallel()
	server := postgres(t, nil)
	exec(t, connect(t, server.URL("postgres")), "CREATE TABLE t (n int)")
	for n, fail := range []struct {
		name string
		do   func(ctx context.Context) error
	}{
		{"restart", server.Restart},
		{"crash", server.Crash},
		{"kill the postmaster", server.KillPostmaster},
		{"stop and start", func(ctx context.Context) error {
			return errors.Join(server.StopImmediate(ctx), server.Start(ctx))
		}},
		{"kill a backend", func(ctx context.Context) error {
			return server.KillBackend(ctx, int(connect(t, server.URL("postgres")).PgConn().PID()))
		}},
	} {
		before := connect(t, server.URL("postgres"))
		exec(t, before, "INSERT INTO t VALUES ($1)", n)
		require.NoError(t, fail.do(t.Context()), fail.name)
		require.Error(t, before.Ping(t.Context()), "after %s, an old connection still works", fail.name)
		assert.Equal(t, n+1, value[int](t, connect(t, server.URL("postgres")), "SELECT count(*) FROM t"), fail.name)
	}
	assert.Contains(t, server.Log(), "was not properly shut down")
}

func TestTerminateBackendEndsOneConnectionOnly(t *testing.T) {
	t.Parallel()
	server := postgres(t, nil)
	victim, other := connect(t, server.URL("postgres")), connect(t, server.URL("postgres"))
	require.NoError(t, server.TerminateBackend(t.Context(), int(victim.PgConn().PID())))
	assert.Error(t, victim.Ping(t.Context()))
	assert.NoError(t, other.Ping(t.Context()))
	assert.Error(t, server.KillBackend(t.Context(), 1), "init is no backend")
}

func TestAServerThatCannotStartSaysWhyAndLeavesNothing(t *testing.T) {
	t.Parallel()
	parent := shortDir(t)
	_, err := testservers.StartPostgres(t.Context(), testservers.PostgresOptions{
		Dir: parent, Settings: map[string]string{"shared_buffers": "a lot"},
	})
	require.ErrorContains(t, err, `invalid value for parameter "shared_buffers"`)
	assert.Empty(t, entries(t, parent))
}

func TestADirectoryTooDeepForASocketIsRefused(t *testing.T) {
	t.Parallel()
	deep := filepath.Join(shortDir(t), strings.Repeat("d", 90))
	mkdir(t, deep)
	_, err := testservers.StartPostgres(t.Context(), testservers.PostgresOptions{Dir: deep})
	require.ErrorContains(t, err, "shorter")
	assert.Empty(t, entries(t, deep))
}

func TestEveryDatabaseIsACopyOfItsTemplateThatIsFilledOnce(t *testing.T) {
	t.Parallel()
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	key, fills := rand.Text(), 0
	template := func(ctx context.Context) (string, error) {
		return server.Template(ctx, key, func(ctx context.Context, url string) error {
			fills++
			conn, err := pgx.Connect(ctx, url) // left open: Template ends it
			if err != nil {
				return err
			}
			_, err = conn.Exec(ctx, "CREATE TABLE t AS SELECT 1 AS n")
			return err
		})
	}
	names := map[string]bool{}
	for range 3 {
		from, err := template(t.Context())
		require.NoError(t, err)
		name, err := server.NewDatabase(t.Context(), from)
		require.NoError(t, err)
		names[name] = true
		conn := connect(t, server.URL(name))
		assert.Equal(t, 1, value[int](t, conn, "SELECT count(*) FROM t"))
		exec(t, conn, "INSERT INTO t VALUES (2)")
		require.NoError(t, server.DropDatabase(t.Context(), name), "while connected")
	}
	assert.Len(t, names, 3)
	assert.Equal(t, 1, fills)
}

func TestAFillThatFailedIsTriedAgain(t *testing.T) {
	t.Parallel()
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	broken := errors.New("broken")
	key := rand.Text()
	for _, want := range []error{broken, nil} {
		_, err := server.Template(t.Context(), key, func(context.Context, string) error { return want })
		require.ErrorIs(t, err, want)
	}
}

func TestADumpLoadsIntoAnotherDatabase(t *testing.T) {
	t.Parallel()
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	databases := make([]string, 2)
	for n := range databases {
		databases[n], err = server.NewDatabase(t.Context(), "")
		require.NoError(t, err)
	}
	exec(t, connect(t, server.URL(databases[0])), "CREATE TABLE t AS SELECT 42 AS n")
	dump, err := server.Dump(t.Context(), databases[0])
	require.NoError(t, err)
	require.NoError(t, server.Load(t.Context(), databases[1], dump))
	assert.Equal(t, 42, value[int](t, connect(t, server.URL(databases[1])), "SELECT n FROM t"))
	assert.ErrorContains(t, server.Load(t.Context(), databases[1], dump), "already exists")
	_, err = server.Dump(t.Context(), "no_such_database")
	assert.ErrorContains(t, err, "does not exist")
}

func TestAReplicaFollowsUntilItIsDisconnectedAndIsPromoted(t *testing.T) {
	t.Parallel()
	primary := postgres(t, nil)
	replica, err := primary.Replica(t.Context(), testservers.ReplicaOptions{Settings: map[string]string{"hot_standby_feedback": "on"}})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, replica.Stop(context.Background())) })
	ours := connect(t, primary.URL("postgres"))
	count := func() int { return value[int](t, connect(t, replica.URL("postgres")), "SELECT count(*) FROM t") }

	exec(t, ours, "CREATE TABLE t AS SELECT 1 AS n")
	require.NoError(t, replica.CatchUp(t.Context()))
	assert.Equal(t, 1, count())
	assert.Equal(t, "on", value[string](t, connect(t, replica.URL("postgres")), "SHOW hot_standby_feedback"))

	require.NoError(t, replica.PauseReplay(t.Context()))
	exec(t, ours, "INSERT INTO t VALUES (2)")
	assert.Equal(t, 1, count(), "paused")
	require.NoError(t, replica.ResumeReplay(t.Context()))
	require.NoError(t, replica.CatchUp(t.Context()))
	assert.Equal(t, 2, count(), "resumed")

	require.NoError(t, replica.Disconnect(t.Context()))
	exec(t, ours, "INSERT INTO t VALUES (3)")
	assert.Equal(t, 2, count(), "disconnected")
	require.NoError(t, replica.Reconnect(t.Context()))
	require.NoError(t, replica.CatchUp(t.Context()))
	assert.Equal(t, 3, count(), "connected again")

	require.NoError(t, replica.Disconnect(t.Context()))
	exec(t, ours, "INSERT INTO t VALUES (4)")
	require.NoError(t, primary.StopImmediate(t.Context()))
	require.NoError(t, replica.Promote(t.Context()))
	exec(t, connect(t, replica.URL("postgres")), "INSERT INTO t VALUES (5)")
	assert.Equal(t, 4, count(), "what did not arrive is lost")
}

func TestASynchronousReplicaHoldsCommitsBackWhileItIsAway(t *testing.T) {
	t.Parallel()
	primary := postgres(t, nil)
	replica, err := primary.Replica(t.Context(), testservers.ReplicaOptions{Name: "near"})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, replica.Stop(context.Background())) })
	admin, writer := connect(t, primary.URL("postgres")), connect(t, primary.URL("postgres"))
	exec(t, admin, "ALTER SYSTEM SET synchronous_standby_names = 'near'")
	exec(t, admin, "SELECT pg_reload_conf()")
	exec(t, writer, "CREATE TABLE t (n int)")

	require.NoError(t, replica.Disconnect(t.Context()))
	committed := make(chan error, 1)
	go func() {
		_, err := writer.Exec(context.Background(), "INSERT INTO t VALUES (1)")
		committed <- err
	}()
	waits := fmt.Sprintf("SELECT wait_event = 'SyncRep' FROM pg_stat_activity WHERE pid = %d", writer.PgConn().PID())
	require.Eventually(t, func() bool {
		return value[*bool](t, admin, waits) != nil && *value[*bool](t, admin, waits)
	}, waitLimit, tick)
	require.NoError(t, replica.Reconnect(t.Context()))
	require.NoError(t, <-committed)
}
