package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
)

// Line is a record of the stream: so much of an item was sold.
type Line struct {
	Item     string `json:"item"`
	Quantity int64  `json:"quantity"`
}

const createSold = `CREATE TABLE IF NOT EXISTS sold (item TEXT PRIMARY KEY, quantity BIGINT NOT NULL)`

// sales is the read model of what the stream says was sold.
type sales struct{ db *sql.DB }

func (s sales) of(ctx context.Context, item string) (quantity int64, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT quantity FROM sold WHERE item = $1`, item).Scan(&quantity)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return quantity, err
}

// follow returns the target of the stream: the rows and how far the stream has been taken in are written in one
// transaction. A consumer.Worker in a container, with the leases, goes on where Lambda stands, and Lambda where the
// worker stands.
func (s sales) follow(ctx context.Context) (consumer.Target, consumer.LeaseStore, error) {
	of, err := consumer.OpenSQL(ctx, s.db, "sales")
	if err != nil {
		return nil, nil, err
	}
	return of.Target(add), of, nil
}

// add adds what was sold.
func add(ctx context.Context, tx *sql.Tx, batch consumer.Batch) error {
	for _, r := range batch.Records {
		var line Line
		if err := json.Unmarshal(r.Data, &line); err != nil {
			return fmt.Errorf("record %s: %w", *r.SequenceNumber, err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO sold VALUES ($1, $2) ON CONFLICT (item) DO UPDATE SET quantity = sold.quantity + excluded.quantity`, line.Item, line.Quantity); err != nil {
			return err
		}
	}
	return nil
}
