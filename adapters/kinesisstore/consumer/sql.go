package consumer

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"time"
)

// SQL keeps the leases and checkpoints of a consumer in two tables of a database: Postgres, or SQLite
// with modernc.org/sqlite. It is a [LeaseStore], a [CheckpointStore], and makes the [Target] that
// takes each record in once.
type SQL struct {
	db       *sql.DB
	consumer string
}

// OpenSQL returns the leases and checkpoints under the name of a consumer: of one stream, for one
// target. It creates the tables leftfold_shard_leases and leftfold_shard_checkpoints if they are not there.
// A pool of pgx gives a database by its stdlib.OpenDBFromPool; SQLite needs a busy timeout.
func OpenSQL(ctx context.Context, db *sql.DB, consumer string) (*SQL, error) {
	s := &SQL{db: db, consumer: consumer}
	if s.probe(ctx) == nil {
		return s, nil
	}
	for _, create := range []string{createLeases, createCheckpoints} {
		_, err := db.ExecContext(ctx, create)
		if err != nil { // Postgres says so too if another process creates it at the same moment; now it is there
			_, err = db.ExecContext(ctx, create)
		}
		if err != nil {
			return nil, fmt.Errorf("create the tables of consumer %s: %w", consumer, err)
		}
	}
	return s, nil
}

func (s *SQL) probe(ctx context.Context) (err error) {
	var none int
	return s.db.QueryRowContext(ctx, probe).Scan(&none)
}

// List is that of [LeaseStore].
func (s *SQL) List(ctx context.Context) (all []Lease, err error) {
	rows, err := s.db.QueryContext(ctx, listLeases, s.consumer)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var l Lease
		if err := rows.Scan(&l.Shard, &l.Owner, &l.Wanted, &l.Counter); err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, rows.Err()
}

// Write is that of [LeaseStore].
func (s *SQL) Write(ctx context.Context, l Lease) error {
	statement := updateLease
	if l.Counter == 1 {
		statement = insertLease
	}
	return one(s.db.ExecContext(ctx, statement, s.consumer, l.Shard, l.Owner, l.Wanted, l.Counter))
}

// Remove is that of [LeaseStore].
func (s *SQL) Remove(ctx context.Context, l Lease) error {
	return one(s.db.ExecContext(ctx, deleteLease, s.consumer, l.Shard, l.Counter))
}

// one is [ErrLost] if a statement changed no row.
func one(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	switch changed, err := result.RowsAffected(); {
	case err != nil:
		return err
	case changed == 0:
		return ErrLost
	}
	return nil
}

// Checkpoint is that of [CheckpointStore].
func (s *SQL) Checkpoint(ctx context.Context, shard string) (at Checkpoint, err error) {
	var seen int64
	err = s.db.QueryRowContext(ctx, readCheckpoint, s.consumer, shard).Scan(&at.Sequence, &at.Ended, &seen)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Checkpoint{}, nil
	case err != nil:
		return Checkpoint{}, err
	}
	at.Seen = time.Unix(seen, 0).UTC()
	return at, nil
}

// Move is that of [CheckpointStore].
func (s *SQL) Move(ctx context.Context, shard string, from, to Checkpoint) error {
	return s.move(ctx, s.db, shard, from, to)
}

type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func (s *SQL) move(ctx context.Context, by execer, shard string, from, to Checkpoint) error {
	if from.IsAt(Checkpoint{}) {
		return one(by.ExecContext(ctx, beginCheckpoint, s.consumer, shard, to.Sequence, to.Ended, to.Seen.Unix()))
	}
	return one(by.ExecContext(ctx, moveCheckpoint, s.consumer, shard, to.Sequence, to.Ended, to.Seen.Unix(), from.Sequence, from.Ended))
}

// Target returns a target that takes each record in once: what handle writes in the transaction and the
// checkpoint are committed together. Handle gets one or more records of a shard. If it fails, the
// transaction is rolled back and the records come again. What it does outside the transaction
// it may do again.
func (s *SQL) Target(handle func(ctx context.Context, tx *sql.Tx, batch Batch) error) Target {
	return sqlTarget{s, handle}
}

type sqlTarget struct {
	*SQL

	handle func(ctx context.Context, tx *sql.Tx, batch Batch) error
}

// Take moves the checkpoint first: its row is locked then, so that a worker that comes late waits
// and is told before it has done anything.
func (t sqlTarget) Take(ctx context.Context, batch Batch) error {
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := t.move(ctx, tx, batch.Shard, batch.From, batch.To); err != nil {
		return err
	}
	if len(batch.Records) > 0 {
		if err := t.handle(ctx, tx, batch); err != nil {
			return err
		}
	}
	return tx.Commit()
}

//go:embed sql/create_leases.sql
var createLeases string

//go:embed sql/create_checkpoints.sql
var createCheckpoints string

//go:embed sql/probe.sql
var probe string

//go:embed sql/list_leases.sql
var listLeases string

//go:embed sql/insert_lease.sql
var insertLease string

//go:embed sql/update_lease.sql
var updateLease string

//go:embed sql/delete_lease.sql
var deleteLease string

//go:embed sql/read_checkpoint.sql
var readCheckpoint string

//go:embed sql/begin_checkpoint.sql
var beginCheckpoint string

//go:embed sql/move_checkpoint.sql
var moveCheckpoint string
