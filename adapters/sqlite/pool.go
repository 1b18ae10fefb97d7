package sqlite

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"strings"
)

// pool is connections of one kind to a file, with the statements prepared on them.
type pool struct {
	db       *sql.DB
	prepared map[string]*sql.Stmt // by text; fixed once the pool is in use
}

// newPool returns the connections that open makes, none of them opened yet.
func newPool(open sqldriver.Connector, connections int) *pool {
	db := sql.OpenDB(open)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections) // the default of 2 would close and reopen the others all the time
	return &pool{db: db, prepared: map[string]*sql.Stmt{}}
}

// prepare parses the statements once for all transactions. Not on demand: preparing
// takes a free connection, and a transaction in a pool of one would wait for its own.
func (p *pool) prepare(ctx context.Context, texts ...string) error {
	for _, text := range texts {
		s, err := p.db.PrepareContext(ctx, single(text))
		if err != nil {
			return err
		}
		p.prepared[text] = s
	}
	return nil
}

// begin starts a transaction. What it takes first, a read or the write lock, is the
// choice of the DSN.
func (p *pool) begin(ctx context.Context) (*transaction, error) {
	tx, err := p.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &transaction{Tx: tx, prepared: p.prepared, bound: map[string]*sql.Stmt{}}, nil
}

func (p *pool) close() error {
	return p.db.Close() // closes the statements with their connections
}

// transaction is an open transaction and the statements in use in it.
type transaction struct {
	*sql.Tx
	prepared, bound map[string]*sql.Stmt
	callers         bool // and not of one of our pools, see tx.go
}

// statement returns the statement of a text, ready for this transaction. A text that
// the pool has not prepared works too, and is forgotten with the transaction.
func (t *transaction) statement(ctx context.Context, text string) (*sql.Stmt, error) {
	if s, ok := t.bound[text]; ok {
		return s, nil
	}
	s, err := t.bind(context.WithoutCancel(ctx), text) // the end of ctx must not keep a savepoint from being rolled back
	if err != nil {
		return nil, err
	}
	t.bound[text] = s
	return s, nil
}

func (t *transaction) bind(ctx context.Context, text string) (*sql.Stmt, error) {
	if s, ok := t.prepared[text]; ok {
		return t.StmtContext(ctx, s), nil
	}
	return t.PrepareContext(ctx, single(text))
}

// single returns the text of one statement without its end. The driver takes anything
// after the semicolon, even a newline, for a second statement, and a script is parsed
// anew each time it runs.
func single(text string) string { return strings.TrimRight(text, "; \n") }

// exec runs a statement that takes some microseconds. Like find, it does not watch ctx:
// that would take a goroutine, and the driver throws an interrupted connection away.
func (t *transaction) exec(ctx context.Context, text string, args ...any) error {
	s, err := t.statement(ctx, text)
	if err != nil {
		return err
	}
	_, err = s.ExecContext(context.WithoutCancel(ctx), args...)
	return err
}

// change runs a statement as exec does, and returns how many rows it has changed.
func (t *transaction) change(ctx context.Context, text string, args ...any) (rows int64, err error) {
	s, err := t.statement(ctx, text)
	if err != nil {
		return 0, err
	}
	result, err := s.ExecContext(context.WithoutCancel(ctx), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// query starts a statement that may walk far. The end of ctx interrupts it.
func (t *transaction) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	s, err := t.statement(ctx, text)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// find scans the first row into the targets and reports whether there was one.
func (t *transaction) find(ctx context.Context, text string, args []any, into ...any) (bool, error) {
	s, err := t.statement(ctx, text)
	if err != nil {
		return false, err
	}
	err = s.QueryRowContext(context.WithoutCancel(ctx), args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
