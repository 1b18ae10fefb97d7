package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/eventstore"
)

// database is our own connections to the user's database.
//
// They are made from the configuration of the user's pool and never taken out of it: a
// program whose goroutines hold every connection of its pool, each inside a transaction,
// could else wait for an append that waits for one of these connections.
type database struct {
	pool   *pgxpool.Pool // for readers, who give theirs back
	writer *pgxpool.Pool // for the appender, which holds one as long as it works
	// For sinks. Handlers have theirs for as long as they run, and read what they like
	// meanwhile, so none of the other pools may run dry over them.
	models, handlers *pgxpool.Pool
	queries          *pgxpool.Pool // for the transactions of [Sink.Read], which last as long as its callers like

	schema schema
	sql    statements
	pooled bool               // by a proxy between us and the server: no session outlives a transaction
	store  eventstore.StoreID // the one that was opened; zero: not known yet

	reading, writing lifetime
	release          func() bool // the appender's last connection from the end of writing
}

// lifetime is a context that its owner ends.
type lifetime struct {
	context.Context

	end context.CancelFunc
}

func newLifetime() lifetime {
	ctx, end := context.WithCancel(context.Background())
	return lifetime{ctx, end}
}

func (l lifetime) over() bool { return l.Err() != nil }

// writerConns is one for the appender, and places for those that it has given up: the driver
// takes up to 15 s to bury a connection to a server that does not answer.
const writerConns = 4

// openDatabase prepares the connections that config describes.
func openDatabase(ctx context.Context, config *pgxpool.Config, s schema, readers int) (*database, error) {
	pooled, err := isPooled(ctx, config)
	if err != nil {
		return nil, err
	}
	d := &database{schema: s, sql: newStatements(s), pooled: pooled, reading: newLifetime(), writing: newLifetime()}
	config = d.configure(config)
	for _, p := range []struct {
		pool   **pgxpool.Pool
		conns  int
		change func(*pgxpool.Config)
	}{
		{&d.pool, readers, func(*pgxpool.Config) {}},
		{&d.writer, writerConns, func(c *pgxpool.Config) { c.AfterRelease = neverAgain(c.AfterRelease) }},
		{&d.models, sinkConns, d.planForLargeTables},
		{&d.handlers, sinkConns, func(*pgxpool.Config) {}},
		{&d.queries, sinkConns, func(*pgxpool.Config) {}},
	} {
		config := config.Copy()
		config.MaxConns = int32(p.conns)
		p.change(config)
		if *p.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
			d.closePools()
			return nil, explain(err)
		}
	}
	return d, nil
}

// planForLargeTables is for the statements of views, whose plans are kept. Of a table that is
// small when they are made, the planner would read all of it, or all of one index, and still do so
// when it has grown.
func (d *database) planForLargeTables(config *pgxpool.Config) {
	if d.pooled {
		return // every statement is planned anew
	}
	set := config.ConnConfig.RuntimeParams
	set["enable_seqscan"], set["enable_indexonlyscan"] = "off", "off"
	set["plan_cache_mode"] = "force_generic_plan" // to plan anew costs more than a small load
}

// configure makes the user's configuration ours: whatever the database or the role has as its
// default, a session of ours is like every other. A proxy would refuse these settings.
func (d *database) configure(config *pgxpool.Config) *pgxpool.Config {
	config = config.Copy()
	config.MinConns, config.MinIdleConns = 0, 0
	config.ConnConfig.OnNotice = noticeUnreplicated(config.ConnConfig.OnNotice)
	readLarge(config.ConnConfig)
	set := config.ConnConfig.RuntimeParams
	set["client_encoding"] = "UTF8" // which a proxy takes
	if d.pooled {
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
		return config
	}
	set["default_transaction_isolation"] = "read committed"
	set["jit"] = "off"
	if _, users := set["lock_timeout"]; !users {
		// For the lock of the store, and for the one that a commit that notifies takes, which all
		// databases of the server share.
		set["lock_timeout"] = "5s"
	}
	return config
}

// unreplicated is where a connection notes that a commit of its did not wait for its standby.
const unreplicated = "leftfold.unreplicated"

// noticeUnreplicated notes the warning with which a server commits although the wait for a
// synchronous standby was canceled; see SyncRepWaitForLSN in Postgres's syncrep.c. The name of
// the function is told as it is, whatever the language of the message.
func noticeUnreplicated(users pgconn.NoticeHandler) pgconn.NoticeHandler {
	return func(conn *pgconn.PgConn, notice *pgconn.Notice) {
		if notice.Routine == "SyncRepWaitForLSN" {
			conn.CustomData()[unreplicated] = true
		}
		if users != nil {
			users(conn, notice)
		}
	}
}

// neverAgain is for the appender, which gives a connection back when it is of no use any more.
func neverAgain(users func(*pgx.Conn) bool) func(*pgx.Conn) bool {
	return func(conn *pgx.Conn) bool {
		if users != nil {
			users(conn)
		}
		return false
	}
}

// isPooled asks the server for the process that serves us. A proxy that shares connections
// makes up a number of its own.
func isPooled(ctx context.Context, config *pgxpool.Config) (bool, error) {
	conn, err := connect(ctx, config, config.ConnConfig)
	if err != nil {
		return false, explain(err)
	}
	defer func() { _ = conn.Close(ctx) }() // it was only asked
	pooled, err := behindProxy(ctx, conn)
	if err != nil {
		return false, explain(err)
	}
	if version := conn.PgConn().ParameterStatus("server_version"); tooOld(version) {
		return false, fmt.Errorf("%w: it is %s, Leftfold needs 14 or newer", ErrUnsupportedServer, version)
	}
	return pooled, nil
}

func behindProxy(ctx context.Context, conn *pgx.Conn) (bool, error) {
	var pid uint32
	err := conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid)
	return pid != conn.PgConn().PID(), err
}

// connect makes a connection outside the pools. BeforeConnect is where passwords come from that
// do not last, such as the tokens of a cloud or of a vault.
func connect(ctx context.Context, config *pgxpool.Config, to *pgx.ConnConfig) (*pgx.Conn, error) {
	to = to.Copy()
	to.RuntimeParams["client_encoding"] = "UTF8"
	if config.BeforeConnect != nil {
		if err := config.BeforeConnect(ctx, to); err != nil {
			return nil, err
		}
	}
	return pgx.ConnectConfig(ctx, to)
}

func tooOld(serverVersion string) bool {
	major, _, _ := strings.Cut(serverVersion, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n < 14
}

// do runs f on a connection for readers. If the store is closed meanwhile, f ends early.
func (d *database) do(ctx context.Context, f func(session) error) error { return d.on(ctx, d.pool, f) }

// on runs f on a connection of the pool.
func (d *database) on(ctx context.Context, pool *pgxpool.Pool, f func(session) error) error {
	conn, err := acquire(ctx, pool, d.reading)
	if err != nil {
		return err
	}
	defer conn.Release()
	keep := cutAtTheEnd(conn, d.reading)
	defer keep() // f may end its goroutine
	err = f(d.session(conn.Conn()))
	if isStale(err) {
		_ = conn.Conn().Close(ctx) // whether it can be told or not
		pool.Reset()               // the others know no better
	}
	if !keep() && err != nil {
		return eventstore.ErrClosed
	}
	return err
}

// acquireWriter returns a connection for the appender, which asks for the next one only after
// it has released the last. It breaks with [database.abort].
func (d *database) acquireWriter(ctx context.Context) (*pgxpool.Conn, error) {
	if d.release != nil {
		d.release()
	}
	conn, err := acquire(ctx, d.writer, d.writing)
	if err == nil {
		d.release = cutAtTheEnd(conn, d.writing)
	}
	return conn, err
}

func acquire(ctx context.Context, pool *pgxpool.Pool, life lifetime) (*pgxpool.Conn, error) {
	if life.over() {
		return nil, eventstore.ErrClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(life, cancel)()
	conn, err := pool.Acquire(ctx)
	if err != nil && life.over() {
		return nil, eventstore.ErrClosed
	}
	return conn, explain(err)
}

// cutAtTheEnd cuts the connection when the lifetime ends, whatever is under way on it, unless
// the function it returns is called before. That reports whether it was in time.
func cutAtTheEnd(conn *pgxpool.Conn, life lifetime) (keep func() bool) {
	wire := conn.Conn().PgConn().Conn()
	return context.AfterFunc(life, func() { _ = wire.Close() }) // a deadline could be taken back by others
}

// abort breaks off what the appender has under way, and takes it the server.
func (d *database) abort() { d.writing.end() }

// close ends the reads under way and closes the connections. When ctx is over it leaves the
// rest to itself: the driver gives a server that hangs 15 s.
func (d *database) close(ctx context.Context) {
	d.reading.end()
	d.abort()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		d.closePools()
	}()
	waitLonger(ctx, closed)
}

func (d *database) closePools() {
	for _, pool := range []*pgxpool.Pool{d.writer, d.pool, d.models, d.handlers, d.queries} {
		if pool != nil {
			pool.Close()
		}
	}
}

// waitLonger waits for something until shortly after the end of ctx, and reports whether it
// has come.
func waitLonger(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	select {
	case <-done:
		return true
	case <-time.After(answerPatience):
		return false
	}
}

func (d *database) session(conn *pgx.Conn) session { return session{conn, d.pooled, d.store} }
