package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
)

// ErrOwnTransaction: an append outside a transaction would wait for one that its own caller
// holds open. Append through [Store.In] there.
var ErrOwnTransaction = errors.New("postgres: append would wait for the caller's own transaction")

// ErrOtherDatabase: there is another store in this schema, in the database of the transaction
// or where the store has connected to anew. Nothing was appended.
var ErrOtherDatabase = errors.New("postgres: another store than the one that was opened")

// In returns the store inside the caller's transaction: what is appended through it becomes
// visible when the transaction commits, together with whatever else that wrote, or never.
//
// The first append takes the lock of the store, and the transaction holds it until it ends:
// meanwhile nobody else can append to the store. So append last, and commit at once. An
// append that cannot have the lock within 2 seconds is [eventstore.ErrStoreBusy]; the
// transaction has failed then, as after any error of the server. A refusal (a conflict, a
// condition, a repeated command) is no such error: the transaction can go on.
//
// The transaction must be READ COMMITTED, Postgres's default ([ErrIsolation]), and on the
// store's database ([ErrOtherDatabase]). Receipts speak of what will be if it commits. What
// reads through the store sees the transaction's own events. Inline projections are applied in the
// transaction; call [Store.LockIn] before it reads their rows, and an append that one of them
// refuses is a refusal like any other. Use it as the transaction, from
// one goroutine at a time; between the pages of a read the transaction is free. Once it has
// ended, the store inside it gives [pgx.ErrTxClosed].
func (s *Store) In(tx pgx.Tx) eventstore.Store { return s.in(tx) }

func (s *Store) in(tx pgx.Tx) *txStore {
	t := &txStore{store: s, tx: tx, on: session{conn: tx.Conn(), pooled: true}} // nothing is prepared on connections that are not ours
	t.reader = reader{sql: &s.db.sql, on: func(ctx context.Context, f func(session) error) error {
		if err := checkOpen(ctx, tx); err != nil {
			return err
		}
		return f(t.on)
	}}
	return t
}

var errRowsOpen = errors.New("postgres: the transaction has rows open: close them, or read them to their end, before the store is used in it")

// checkOpen refuses a transaction that has ended, or is busy, without asking the server. Our
// statements go to the connection itself, past the transaction: after its end they would
// commit by themselves, or in a transaction of whoever took the connection from the pool.
func checkOpen(ctx context.Context, tx pgx.Tx) error {
	// pgx tells that a transaction has ended only when it is used. It refuses this use in every
	// transaction, before anything is sent, and an ended one with an error of its own.
	var probe pgx.Batch
	probe.BeginTx(pgx.TxOptions{})
	ended := errors.Is(tx.SendBatch(ctx, &probe).Close(), pgx.ErrTxClosed)
	if conn := tx.Conn().PgConn(); !ended && !conn.IsClosed() {
		if conn.IsBusy() {
			return errRowsOpen
		}
		if encoding := conn.ParameterStatus("client_encoding"); encoding != "UTF8" && encoding != "" {
			return fmt.Errorf("%w: client_encoding of the transaction's connection is %s; set it to UTF8", ErrUnsupportedServer, encoding)
		}
		ended = conn.TxStatus() == 'I' // as after a COMMIT that was sent as text
	}
	if ended {
		return fmt.Errorf("postgres: %w: the store inside a transaction ends with it; take another with Store.In for the next one", pgx.ErrTxClosed)
	}
	return nil
}

// LockIn takes the lock of the store for the transaction before its first append: where the
// transaction decides by what it reads from tables that other appends write, inline views
// among them. The errors are those of an append through [Store.In].
func (s *Store) LockIn(ctx context.Context, tx pgx.Tx) error {
	return s.in(tx).lock(ctx)
}

// Transact runs f in a transaction of the pool and commits it unless f fails. It hands f the
// transaction and the store inside it. Under the ctx that f is given, an append to the store
// itself is refused with [ErrOwnTransaction]: it would wait for this transaction to end.
//
// An error of the commit may leave open whether it happened; a command id tells.
func (s *Store) Transact(ctx context.Context, pool interface {
	BeginTx(ctx context.Context, o pgx.TxOptions) (pgx.Tx, error)
}, f func(ctx context.Context, tx pgx.Tx, store eventstore.Store) error) error {
	return pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(tx pgx.Tx) error {
		return f(context.WithValue(ctx, ownTransaction{s}, true), tx, s.In(tx))
	})
}

// ownTransaction marks the context of a transaction on a store.
type ownTransaction struct{ store *Store }

// StoreAppend is an append to one of several stores.
type StoreAppend struct {
	Store   *Store
	Request eventstore.AppendRequest
}

// AppendAll appends to several stores of one database in the caller's transaction: all or
// none, whatever the transaction does afterwards. Each store may be named once. The locks
// are taken in one order everywhere, so that two of these never wait for each other.
//
// The receipts are in the order of the appends. An error says which store refused; all that
// is said of [Store.In] holds.
func AppendAll(ctx context.Context, tx pgx.Tx, appends ...StoreAppend) ([]eventstore.Receipt, error) {
	inOrder := slices.SortedFunc(slices.Values(appends), func(a, b StoreAppend) int {
		return cmp.Compare(a.Store.db.schema, b.Store.db.schema)
	})
	for n, a := range inOrder {
		if n > 0 && a.Store.db.schema == inOrder[n-1].Store.db.schema {
			return nil, &eventstore.InvalidError{What: "append to several stores", Value: string(a.Store.db.schema), Reason: "the schema is named twice; put its writes into one request"}
		}
	}
	receipts := make([]eventstore.Receipt, len(appends))
	err := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { // a savepoint: a refusal takes back the appends before it
		for _, a := range inOrder {
			if err := a.Store.LockIn(ctx, tx); err != nil {
				return fmt.Errorf("append to the store in schema %s: %w", a.Store.db.schema, err)
			}
		}
		for n, a := range appends {
			var err error
			if receipts[n], err = a.Store.In(tx).Append(ctx, a.Request); err != nil {
				return fmt.Errorf("append to the store in schema %s: %w", a.Store.db.schema, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return receipts, nil
}

// txStore is a store inside a transaction.
type txStore struct {
	store  *Store
	tx     pgx.Tx
	on     session
	reader reader
}

func (t *txStore) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	prepared, err := request.Prepare(t.store.limits)
	if err != nil {
		return eventstore.Receipt{}, err
	}
	return t.append(ctx, prepared)
}

func (t *txStore) DeleteStream(ctx context.Context, stream eventstore.StreamID, expected eventstore.ExpectedVersion) (eventstore.Receipt, error) {
	request, err := tombstone(stream, expected)
	if err != nil {
		return eventstore.Receipt{}, err
	}
	return t.append(ctx, request)
}

func (t *txStore) append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	if ctx.Value(insideInline{t.store.db}) != nil {
		return eventstore.Receipt{}, errInsideInline
	}
	if err := t.lock(ctx); err != nil {
		return eventstore.Receipt{}, err
	}
	one := []*groupcommit.Pending{groupcommit.NewPending(request)}
	var params parameters
	params.encode(one, t.store.identity.Store)
	var got answer
	inline := t.store.appender.inline
	values := params.values(nil, 0, 0, 0, inline.Number())
	var err error
	if inline == nil {
		err = t.on.one(ctx, t.store.db.sql.appendIn, got.scan, values...)
	} else {
		err = t.appendInline(ctx, one, call{statement: t.store.db.sql.appendInInline, params: values, scan: got.scan}, &got)
	}
	if err != nil {
		return eventstore.Receipt{}, mismatch(inline, err)
	}
	got.outcomes(t.store.identity.Store, one)
	return one[0].Receipt, one[0].Err
}

// lock takes the lock of the store.
func (t *txStore) lock(ctx context.Context) error {
	if err := checkOpen(ctx, t.tx); err != nil {
		return err
	}
	var id eventstore.StoreID
	err := t.on.one(ctx, t.store.db.sql.lock, func(row [][]byte) error {
		id = eventstore.StoreID(row[0])
		return nil
	})
	if err != nil {
		return fmt.Errorf("lock the store: %w", err)
	}
	if id != t.store.identity.Store {
		return fmt.Errorf("%w: it is store %s there, %s here", ErrOtherDatabase, id, t.store.identity.Store)
	}
	return nil
}

func (t *txStore) LookupCommand(ctx context.Context, command eventstore.Command) (eventstore.Receipt, bool, error) {
	return t.reader.lookupCommand(ctx, command)
}

func (t *txStore) ReadStream(ctx context.Context, stream eventstore.StreamID, in eventstore.StreamRange) iter.Seq2[eventstore.Recorded, error] {
	return t.reader.readStream(ctx, stream, in)
}

func (t *txStore) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	return t.reader.readLog(ctx, query)
}

func (t *txStore) Head(ctx context.Context) (eventstore.Token, error) { return t.reader.head(ctx) }
