// Own-transaction writes rows of its own and events in one transaction: both are there, or neither
// is. It works on a SQLite file in the current directory, or on a Postgres database:
//
//	go run ./examples/own-transaction
//	go run ./examples/own-transaction -postgres postgres://localhost/mine
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"log"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
)

func main() {
	log.SetFlags(0)
	url := flag.String("postgres", "", "the `URL` of a database to use in place of own-transaction.db")
	flag.Parse()
	if err := run(context.Background(), "own-transaction.db", *url); err != nil {
		log.Fatal("own-transaction: ", err)
	}
}

func run(ctx context.Context, path, url string) (err error) {
	b, closing, err := open(ctx, path, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closing()) }()

	for _, try := range []struct {
		order string
		pence int64
	}{
		{"42", 1530},
		{"43", -100}, // the table refuses the row: there is no event
		{"42", 1530}, // the order refuses the event: there is no row, and no number is lost
		{"44", 999},
	} {
		number, err := b.invoice(ctx, try.order, try.pence)
		switch {
		case errors.Is(err, ErrInvoiced):
			fmt.Printf("order %s: %v\n", try.order, ErrInvoiced)
		case err != nil:
			fmt.Printf("order %s: no invoice of %d pence\n", try.order, try.pence)
		default:
			fmt.Printf("order %s: invoice %d\n", try.order, number)
		}
	}
	invoices, err := b.audit(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d rows, %d events, the same\n", invoices, invoices)
	return nil
}

// open opens the books in the file, or in the database if there is a URL.
func open(ctx context.Context, path, url string) (b *books, closing func() error, err error) {
	if url == "" {
		b, closing, err = openSQLite(ctx, path)
	} else {
		b, closing, err = openPostgres(ctx, url)
	}
	if err != nil {
		return nil, nil, err
	}
	b.orders = aggregate.NewRepository(b.log, Orders)
	for _, statement := range schema {
		if _, err := b.db.ExecContext(ctx, statement); err != nil {
			return nil, nil, errors.Join(err, closing())
		}
	}
	return b, closing, nil
}

func openSQLite(ctx context.Context, path string) (*books, func() error, error) {
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return nil, nil, err
	}
	db, err := sql.Open("sqlite", path) // a database of our own, on the store's file
	if err != nil {
		return nil, nil, errors.Join(err, store.Close(ctx))
	}
	b := &books{db: db, log: store}
	b.transact = func(ctx context.Context, f func(context.Context, *sql.Tx, eventstore.Store) error) error {
		return store.Transact(ctx, db, f)
	}
	return b, func() error { return errors.Join(db.Close(), store.Close(ctx)) }, nil
}

func openPostgres(ctx context.Context, url string) (*books, func() error, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	if _, err := postgres.Migrate(ctx, pool, postgres.MigrateOptions{}); err != nil {
		pool.Close()
		return nil, nil, err
	}
	store, err := postgres.Open(ctx, pool, postgres.Options{})
	if err != nil {
		pool.Close()
		return nil, nil, err
	}
	db := stdlib.OpenDBFromPool(pool) // or sql.Open("pgx", url)
	b := &books{db: db, log: store}
	b.transact = func(ctx context.Context, f func(context.Context, *sql.Tx, eventstore.Store) error) error {
		return store.TransactSQL(ctx, db, f)
	}
	return b, func() error {
		err := errors.Join(db.Close(), store.Close(ctx))
		pool.Close()
		return err
	}, nil
}
