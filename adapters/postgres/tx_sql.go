package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"

	"github.com/leftfold/leftfold/eventstore"
)

// InSQL returns the store inside the transaction that is open on a connection of database/sql, for
// programs that use pgx by way of its package stdlib. Everything that is said of [Store.In] holds,
// with [Store.LockInSQL] for its lock and [pgx.ErrTxClosed] where no transaction is open.
//
// Begin the transaction on the connection, db.Conn and then conn.BeginTx, and use both: your own
// statements go through the *sql.Tx, the store reaches the same connection of pgx by
// [sql.Conn.Raw]. Do not close the connection before the transaction has ended.
func (s *Store) InSQL(conn *sql.Conn) eventstore.Store { return &sqlStore{s, conn} }

// LockInSQL is [Store.LockIn] for the transaction that is open on the connection.
func (s *Store) LockInSQL(ctx context.Context, conn *sql.Conn) error {
	return (&sqlStore{s, conn}).in(ctx, func(in *txStore) error { return in.lock(ctx) })
}

// TransactSQL is [Store.Transact] for database/sql: it runs f in a transaction of the database,
// which must be pgx's, and commits it unless f fails.
func (s *Store) TransactSQL(ctx context.Context, db *sql.DB, f func(ctx context.Context, tx *sql.Tx, store eventstore.Store) error) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return explain(err)
	}
	defer func() { _ = conn.Close() }() // gives it back to the pool
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return explain(err)
	}
	defer func() { _ = tx.Rollback() }() // without effect once committed
	if err := f(context.WithValue(ctx, ownTransaction{s}, true), tx, s.InSQL(conn)); err != nil {
		return err
	}
	return tx.Commit()
}

// sqlStore is a store inside a transaction of database/sql.
type sqlStore struct {
	store *Store
	conn  *sql.Conn
}

var errOtherDriver = errors.New(`postgres: the connection is of another driver than pgx: open the database with package stdlib of github.com/jackc/pgx/v5, as sql.Open("pgx", url) or stdlib.OpenDBFromPool`)

// in runs f with the store inside the transaction. For so long the connection is not database/sql's
// to use, not even to roll back when a context ends.
func (t *sqlStore) in(ctx context.Context, f func(*txStore) error) error {
	return t.conn.Raw(func(driverConn any) error {
		held, ok := driverConn.(interface{ Conn() *pgx.Conn })
		if !ok {
			return fmt.Errorf("%w (it is a %T)", errOtherDriver, driverConn)
		}
		conn := held.Conn()
		if err := checkBegun(ctx, conn); err != nil {
			return err
		}
		// The transaction is there. This makes the driver's object for it, which is never asked to end it.
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: "SELECT"})
		if err != nil {
			return explain(err)
		}
		return f(t.store.in(tx))
	})
}

// checkBegun refuses a connection on which the driver would not begin a transaction: where that fails
// before it has reached the server, the driver gives up the connection, and the transaction with it.
func checkBegun(ctx context.Context, conn *pgx.Conn) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case conn.IsClosed():
		return fmt.Errorf("%w: the connection of the transaction is closed", ErrUnavailable)
	case conn.PgConn().IsBusy():
		return errRowsOpen
	case conn.PgConn().TxStatus() == 'I':
		return fmt.Errorf("postgres: %w: there is no transaction on the connection; begin it by BeginTx of the *sql.Conn", pgx.ErrTxClosed)
	}
	return nil
}

func (t *sqlStore) Append(ctx context.Context, request eventstore.AppendRequest) (receipt eventstore.Receipt, err error) {
	err = t.in(ctx, func(in *txStore) error {
		receipt, err = in.Append(ctx, request)
		return err
	})
	return receipt, err
}

func (t *sqlStore) DeleteStream(ctx context.Context, stream eventstore.StreamID, expected eventstore.ExpectedVersion) (receipt eventstore.Receipt, err error) {
	err = t.in(ctx, func(in *txStore) error {
		receipt, err = in.DeleteStream(ctx, stream, expected)
		return err
	})
	return receipt, err
}

// read makes a reader of the transaction; between the pages of a read the transaction is free.
func (t *sqlStore) read() *reader {
	return &reader{sql: &t.store.db.sql, on: func(ctx context.Context, f func(session) error) error {
		return t.in(ctx, func(in *txStore) error { return in.reader.on(ctx, f) })
	}}
}

func (t *sqlStore) LookupCommand(ctx context.Context, command eventstore.Command) (eventstore.Receipt, bool, error) {
	return t.read().lookupCommand(ctx, command)
}

func (t *sqlStore) ReadStream(ctx context.Context, stream eventstore.StreamID, in eventstore.StreamRange) iter.Seq2[eventstore.Recorded, error] {
	return t.read().readStream(ctx, stream, in)
}

func (t *sqlStore) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	return t.read().readLog(ctx, query)
}

func (t *sqlStore) Head(ctx context.Context) (eventstore.Token, error) { return t.read().head(ctx) }
