package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// Order is the event-sourced part: an order is invoiced once.
type Order struct{ Invoice int64 }

type Invoiced struct{ Number, Pence int64 }

var Orders = aggregate.Define("order", func(e Invoiced, o *Order) { o.Invoice = e.Number },
	codec.Event[Invoiced]("order.invoiced"))

var ErrInvoiced = errors.New("the order has an invoice already")

func Invoice(number, pence int64) aggregate.Decision[Order, Invoiced] {
	return func(o Order) ([]Invoiced, error) {
		if o.Invoice != 0 {
			return nil, ErrInvoiced
		}
		return []Invoiced{{number, pence}}, nil
	}
}

// The part that has been there for years: numbers of invoices must have no gap, and the invoices
// are rows that other programs read.
var schema = []string{
	`CREATE TABLE IF NOT EXISTS last_invoice (number BIGINT NOT NULL)`,
	`INSERT INTO last_invoice SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM last_invoice)`,
	`CREATE TABLE IF NOT EXISTS invoices (number BIGINT PRIMARY KEY, order_id TEXT NOT NULL, pence BIGINT NOT NULL CHECK (pence > 0))`,
}

// books are the rows and the log, in one database.
type books struct {
	db     *sql.DB
	log    eventstore.Store
	orders *aggregate.Repository[Order, Invoiced]

	// transact runs f in a transaction of the database, with the log inside it.
	transact func(ctx context.Context, f func(ctx context.Context, tx *sql.Tx, log eventstore.Store) error) error
}

// invoice writes the invoice of an order and returns its number. The number, the row and the event
// are there together, or none of them is.
func (b *books) invoice(ctx context.Context, order string, pence int64) (number int64, err error) {
	err = b.transact(ctx, func(ctx context.Context, tx *sql.Tx, log eventstore.Store) error {
		err := tx.QueryRowContext(ctx, `UPDATE last_invoice SET number = number + 1 RETURNING number`).Scan(&number)
		if err != nil {
			return fmt.Errorf("number the invoice: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO invoices VALUES ($1, $2, $3)`, number, order, pence); err != nil {
			return fmt.Errorf("put the invoice: %w", err)
		}
		// Last, because from here on nobody else can append until the commit.
		_, err = b.orders.With(log).Execute(ctx, order, Invoice(number, pence))
		return err
	})
	if err != nil {
		return 0, err
	}
	return number, nil
}

// audit counts the rows and the events, and fails unless they are the same invoices, numbered
// without a gap.
func (b *books) audit(ctx context.Context) (invoices int64, err error) {
	events := map[int64]Invoiced{}
	read, err := b.log.ReadLog(ctx, eventstore.LogQuery{})
	if err != nil {
		return 0, err
	}
	for recorded, err := range read.Events() {
		if err != nil {
			return 0, err
		}
		decoded, err := Orders.Events().Decode(recorded)
		if err != nil {
			return 0, err
		}
		for _, event := range decoded {
			e := event.(Invoiced)
			events[e.Number] = e
		}
	}
	rows, err := b.db.QueryContext(ctx, `SELECT number, pence FROM invoices ORDER BY number`)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var row Invoiced
		if err := rows.Scan(&row.Number, &row.Pence); err != nil {
			return 0, err
		}
		if invoices++; row.Number != invoices || events[row.Number] != row {
			return 0, fmt.Errorf("row %d is %+v, its event %+v", invoices, row, events[row.Number])
		}
	}
	if int64(len(events)) != invoices {
		return 0, fmt.Errorf("%d events, %d rows", len(events), invoices)
	}
	return invoices, rows.Err()
}
