package pgproxy_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/pgproxy"
	"github.com/leftfold/leftfold/internal/testservers"
)

// database is a database of its own on a real server, with a table t.
type database struct {
	server *testservers.Postgres
	name   string
	direct *pgx.Conn // not through the proxy
}

func newDatabase(t *testing.T) database {
	t.Helper()
	server, err := testservers.SharedPostgres()
	if errors.Is(err, testservers.ErrUnavailable) && os.Getenv("LEFTFOLD_TEST") != "all" {
		t.Skip(err)
	}
	require.NoError(t, err)
	name, err := server.NewDatabase(t.Context(), "")
	require.NoError(t, err)
	d := database{server: server, name: name, direct: connect(t, server.URL(name))}
	_, err = d.direct.Exec(t.Context(), "CREATE TABLE t (n int)")
	require.NoError(t, err)
	return d
}

// through connects through a proxy. The hook is asked once the connection stands.
func (d database) through(t *testing.T, hook pgproxy.Hook) *pgx.Conn {
	t.Helper()
	connected := false
	proxy := start(t, d.server.Addr(), func(f pgproxy.Frame) pgproxy.Action {
		if connected {
			return hook(f)
		}
		connected = f.Type == pgproxy.ReadyForQuery && !f.FromClient
		return pgproxy.Forward
	})
	return connect(t, strings.Replace(d.server.URL(d.name), d.server.Addr(), proxy.Addr(), 1))
}

func (d database) rows(t *testing.T) int {
	t.Helper()
	var n int
	require.NoError(t, d.direct.QueryRow(t.Context(), "SELECT count(*) FROM t").Scan(&n))
	return n
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// insert adds a row in the extended protocol, in one packet, and returns what came back.
func insert(t *testing.T, conn *pgx.Conn) (results int, err error) {
	t.Helper()
	read := conn.PgConn().ExecParams(t.Context(), "INSERT INTO t VALUES (1) RETURNING n", nil, nil, nil, nil).Read()
	return len(read.Rows), read.Err
}

func TestWhereTheConnectionIsCutDecidesWhetherThereIsACommitAndWhoKnows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		hook            pgproxy.Hook
		returned, there int
	}{
		{"the Sync is lost", at(client, pgproxy.Sync, 1, pgproxy.Cut), 0, 0},
		{"the whole answer is lost", at(client, pgproxy.Sync, 1, pgproxy.DeliverThenCut), 0, 1},
		{"the row arrives, ReadyForQuery is lost", at(server, pgproxy.ReadyForQuery, 1, pgproxy.Cut), 1, 1},
		{"the row arrives, the commit fails", at(client, pgproxy.Sync, 1, pgproxy.FlushThenCut), 1, 0},
		{"ReadyForQuery arrives, the connection ends", at(server, pgproxy.ReadyForQuery, 1, pgproxy.DeliverThenCut), 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t)
			conn := db.through(t, c.hook)
			returned, err := insert(t, conn)
			assert.Equal(t, c.returned, returned, "rows that the client has received")
			assert.Equal(t, c.there, db.rows(t), "as soon as the client sees the cut")
			if !strings.HasPrefix(c.name, "ReadyForQuery arrives") {
				assert.Error(t, err)
			}
			assert.Error(t, conn.Ping(t.Context()))
		})
	}
}

func TestTheAnswerToOneCommitIsLost(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	conn := db.through(t, func(f pgproxy.Frame) pgproxy.Action {
		if f.FromClient && strings.EqualFold(f.Text(), "commit") {
			return pgproxy.DeliverThenCut
		}
		return pgproxy.Forward
	})
	err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), "INSERT INTO t VALUES ($1)", 1)
		return err
	})
	require.Error(t, err)
	assert.Equal(t, 1, db.rows(t))
}

func TestAFrozenConnectionGoesOnWhenItIsReleased(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	frozen, released := make(chan struct{}, 100), make(chan struct{})
	conn := db.through(t, func(f pgproxy.Frame) pgproxy.Action {
		frozen <- struct{}{}
		return pgproxy.Pause(released)
	})
	done := make(chan error, 1)
	go func() {
		_, err := insert(t, conn)
		done <- err
	}()
	<-frozen
	assert.Zero(t, db.rows(t))
	select {
	case err := <-done:
		t.Fatal("the answer came through", err)
	default:
	}
	close(released)
	require.NoError(t, <-done)
	assert.Equal(t, 1, db.rows(t))
}

func TestAServersErrorIsLostAsWell(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	conn := db.through(t, at(client, pgproxy.Query, 1, pgproxy.DeliverThenCut))
	_, err := conn.Exec(t.Context(), "SELECT 1/0", pgx.QueryExecModeSimpleProtocol)
	require.Error(t, err)
	var told *pgconn.PgError
	assert.NotErrorAs(t, err, &told)
}

func TestATransactionThatFailsBeforeTheFlushShowsItsError(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	conn := db.through(t, at(client, pgproxy.Sync, 1, pgproxy.FlushThenCut))
	err := conn.PgConn().ExecParams(t.Context(), "SELECT 1/0", nil, nil, nil, nil).Read().Err
	var told *pgconn.PgError
	require.ErrorAs(t, err, &told)
	assert.Equal(t, "22012", told.Code)
}

func TestTLSIsDeclinedAndCancelRequestsArePassedOn(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	proxy := start(t, db.server.Addr(), nil)
	url := strings.Replace(db.server.URL(db.name), db.server.Addr(), proxy.Addr(), 1)
	conn := connect(t, strings.Replace(url, "sslmode=disable", "sslmode=prefer", 1))
	sleeping := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "SELECT pg_sleep(60)")
		sleeping <- err
	}()
	require.Eventually(t, func() bool {
		var active bool
		err := db.direct.QueryRow(t.Context(), "SELECT state = 'active' AND wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $1",
			conn.PgConn().PID()).Scan(&active)
		return err == nil && active
	}, waitLimit, tick)
	require.NoError(t, conn.PgConn().CancelRequest(t.Context()))
	var told *pgconn.PgError
	require.ErrorAs(t, <-sleeping, &told)
	assert.Equal(t, "57014", told.Code)
}
