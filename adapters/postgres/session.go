package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/leftfold/leftfold/eventstore"
)

// statement is one of our SQL texts, for one schema. Its name is that of its prepared form.
type statement struct{ name, text string }

// session runs statements on a connection.
type session struct {
	conn   *pgx.Conn
	pooled bool
	store  eventstore.StoreID // that must be there; zero: any
}

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
	return errors.Join(err, s.replicated())
}

// errUnreplicated is no refusal: the statement is committed, on this server alone.
var errUnreplicated = errors.New("postgres: committed, but the wait for the synchronous standby was canceled")

// replicated returns [errUnreplicated] if a commit since it was last asked did not wait for
// the standby that it should wait for.
func (s session) replicated() error {
	noted := s.conn.PgConn().CustomData()
	if _, ok := noted[unreplicated]; !ok {
		return nil
	}
	delete(noted, unreplicated)
	return errUnreplicated
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
