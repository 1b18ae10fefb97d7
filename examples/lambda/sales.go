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

var schema = []string{
	`CREATE TABLE IF NOT EXISTS sold (item TEXT PRIMARY KEY, quantity BIGINT NOT NULL)`,
	`CREATE TABLE IF NOT EXISTS shards (shard TEXT PRIMARY KEY, sequence TEXT NOT NULL, ended BOOLEAN NOT NULL)`,
}

// sales is the read model, and the target of the stream: rows and checkpoint are written in
// one transaction. A worker in a container could go on where Lambda stands.
type sales struct{ db *sql.DB }

func (s sales) of(ctx context.Context, item string) (quantity int64, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT quantity FROM sold WHERE item = $1`, item).Scan(&quantity)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return quantity, err
}

// Checkpoint returns how far the shard has been taken in.
func (s sales) Checkpoint(ctx context.Context, shard string) (at consumer.Checkpoint, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT sequence, ended FROM shards WHERE shard = $1`, shard).Scan(&at.Sequence, &at.Ended)
	if errors.Is(err, sql.ErrNoRows) {
		return consumer.Checkpoint{}, nil
	}
	return at, err
}

// Take adds what was sold and moves the checkpoint, both or neither.
func (s sales) Take(ctx context.Context, batch consumer.Batch) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := move(ctx, tx, batch); err != nil {
		return err
	}
	for _, r := range batch.Records {
		var line Line
		if err := json.Unmarshal(r.Data, &line); err != nil {
			return fmt.Errorf("record %s: %w", *r.SequenceNumber, err)
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO sold VALUES ($1, $2) ON CONFLICT (item) DO UPDATE SET quantity = sold.quantity + excluded.quantity`, line.Item, line.Quantity); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// move moves the checkpoint, if it is where the batch begins. It comes first: who moves it holds
// the row until the end.
func move(ctx context.Context, tx *sql.Tx, batch consumer.Batch) error {
	if _, err := tx.ExecContext(ctx, `INSERT INTO shards VALUES ($1, '', false) ON CONFLICT DO NOTHING`, batch.Shard); err != nil {
		return err
	}
	moved, err := tx.ExecContext(ctx, `UPDATE shards SET sequence = $1, ended = $2 WHERE shard = $3 AND sequence = $4 AND ended = $5`,
		batch.To.Sequence, batch.To.Ended, batch.Shard, batch.From.Sequence, batch.From.Ended)
	if err != nil {
		return err
	}
	if n, err := moved.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, consumer.ErrLost)
	}
	return nil
}
