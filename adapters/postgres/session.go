package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

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
	pool   *pgxpool.Pool
	schema schema
	sql    statements
	pooled bool // by a proxy between us and the server: no session outlives a transaction
	closed atomic.Bool
}

// openDatabase prepares the connections that config describes. One of them appends and is
// never missing: the others are for readers, who give theirs back.
func openDatabase(ctx context.Context, config *pgxpool.Config, s schema, readers int) (*database, error) {
	pooled, err := isPooled(ctx, config.ConnConfig)
	if err != nil {
		return nil, err
	}
	config.MaxConns, config.MinConns, config.MinIdleConns = int32(readers)+1, 0, 0
	if pooled {
		config.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	} else {
		// Whatever the database or the role has as its default. A proxy would refuse these.
		config.ConnConfig.RuntimeParams["default_transaction_isolation"] = "read committed"
		config.ConnConfig.RuntimeParams["jit"] = "off"
	}
	readLarge(config.ConnConfig)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, explain(err)
	}
	return &database{pool: pool, schema: s, sql: newStatements(s), pooled: pooled}, nil
}

// isPooled asks the server for the process that serves us. A proxy that shares connections
// makes up a number of its own.
func isPooled(ctx context.Context, config *pgx.ConnConfig) (bool, error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return false, explain(err)
	}
	defer func() { _ = conn.Close(ctx) }() // it was only asked
	var pid uint32
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()", pgx.QueryExecModeSimpleProtocol).Scan(&pid); err != nil {
		return false, explain(err)
	}
	if version := conn.PgConn().ParameterStatus("server_version"); tooOld(version) {
		return false, fmt.Errorf("%w: it is %s, Leftfold needs 14 or newer", ErrUnsupportedServer, version)
	}
	return pid != conn.PgConn().PID(), nil
}

func tooOld(serverVersion string) bool {
	major, _, _ := strings.Cut(serverVersion, ".")
	n, err := strconv.Atoi(major)
	return err == nil && n < 14
}

// statement is one of our SQL texts, for one schema. Its name is that of its prepared form.
type statement struct{ name, text string }

// session runs statements on a connection.
type session struct {
	conn   *pgx.Conn
	pooled bool
}

// do runs f on a connection of the pool.
func (d *database) do(ctx context.Context, f func(session) error) error {
	conn, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	return f(d.session(conn.Conn()))
}

func (d *database) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	if d.closed.Load() {
		return nil, eventstore.ErrClosed
	}
	conn, err := d.pool.Acquire(ctx)
	if err != nil && d.closed.Load() {
		return nil, eventstore.ErrClosed
	}
	return conn, explain(err)
}

// close waits for those who read.
func (d *database) close() {
	d.closed.Store(true)
	d.pool.Close()
}

func (d *database) session(conn *pgx.Conn) session { return session{conn, d.pooled} }

var binaryFormat = []int16{pgx.BinaryFormatCode}

// send runs a statement whose parameters are in binary format, as are its rows. Behind a
// proxy the statement is sent with its text, because whatever was prepared may be on
// another connection of the server.
func (s session) send(ctx context.Context, st statement, params ...[]byte) (*pgconn.ResultReader, error) {
	formats := binaryFormat
	if len(params) == 0 {
		formats = nil
	}
	if s.pooled {
		return s.conn.PgConn().ExecParams(ctx, st.text, params, nil, formats, binaryFormat), nil
	}
	prepared, err := s.conn.Prepare(ctx, st.name, st.text)
	if err != nil {
		return nil, explain(err)
	}
	return s.conn.PgConn().ExecStatement(ctx, prepared, params, formats, binaryFormat), nil
}

// rows runs a statement and hands each row to scan, whose slices are valid only during the
// call. It returns once the server has said that it is ready for the next query: only then
// is a statement outside a transaction committed.
func (s session) rows(ctx context.Context, st statement, scan func(row [][]byte) error, params ...[]byte) (err error) {
	result, err := s.send(ctx, st, params...)
	if err != nil {
		return err
	}
	for result.NextRow() {
		if err == nil {
			err = scanned(scan, result.Values())
		}
	}
	if _, failure := result.Close(); failure != nil {
		return explain(failure)
	}
	return err
}

// scanned turns the panic of a column that is shorter than its type into an error.
func scanned(scan func(row [][]byte) error, row [][]byte) (err error) {
	defer func() {
		if failure := recover(); failure != nil {
			err = fmt.Errorf("postgres: read a row: %v", failure)
		}
	}()
	return scan(row)
}

// row runs a statement that returns at most one row, and reports whether it did.
func (s session) row(ctx context.Context, st statement, scan func(row [][]byte) error, params ...[]byte) (found bool, err error) {
	err = s.rows(ctx, st, func(row [][]byte) error {
		found = true
		return scan(row)
	}, params...)
	return found, err
}

var errNoRow = errors.New("postgres: a statement that always returns a row returned none")

// one runs a statement that returns one row.
func (s session) one(ctx context.Context, st statement, scan func(row [][]byte) error, params ...[]byte) error {
	found, err := s.row(ctx, st, scan, params...)
	if err == nil && !found {
		return fmt.Errorf("%w: %s", errNoRow, st.name)
	}
	return err
}
