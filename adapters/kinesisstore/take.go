package kinesisstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/eventstore"
)

// chunk is how many records one transaction takes in: it keeps the lock of the store meanwhile, which
// the other shards wait for.
const chunk = 100

// busyPause is between two tries of a transaction that did not get the lock of the store.
const busyPause = 20 * time.Millisecond

// Take implements [consumer.Target]: it folds the records into the index, some in each transaction. What is
// before a record that halts the shard ([ErrGap], [ErrForeignRecord], [ErrForeignWrite]) is taken in.
func (x *Index) Take(ctx context.Context, batch consumer.Batch) error {
	at, left := batch.From, batch.Records
	for {
		part, to := left, batch.To
		if len(part) > chunk {
			part = part[:chunk]
			to = consumer.Checkpoint{Sequence: *part[chunk-1].SequenceNumber, Seen: at.Seen}
		}
		if err := x.take(ctx, batch.Shard, at, to, part); err != nil {
			return fmt.Errorf("take in shard %s: %w", batch.Shard, err)
		}
		at, left = to, left[len(part):]
		if len(left) == 0 {
			return nil
		}
	}
}

// haltError says at which record a shard halts.
type haltError struct {
	at    int
	cause error
}

func (e *haltError) Error() string { return e.cause.Error() }
func (e *haltError) Unwrap() error { return e.cause }

// take takes in the records, or those before the one that halts the shard.
func (x *Index) take(ctx context.Context, shard string, from, to consumer.Checkpoint, records []types.Record) error {
	err := x.patiently(ctx, func() error { return x.commit(ctx, shard, from, to, records) })
	halt, ok := errors.AsType[*haltError](err)
	if !ok || halt.at == 0 {
		return err
	}
	before := records[:halt.at]
	to = consumer.Checkpoint{Sequence: *before[len(before)-1].SequenceNumber, Seen: from.Seen}
	if err := x.patiently(ctx, func() error { return x.commit(ctx, shard, from, to, before) }); err != nil {
		return err
	}
	return halt
}

// patiently tries again while the store is busy.
func (x *Index) patiently(ctx context.Context, try func() error) error {
	for {
		err := try()
		if !errors.Is(err, eventstore.ErrStoreBusy) {
			return err
		}
		if err := sleep(ctx, busyPause); err != nil {
			return err
		}
	}
}

// commit takes in the records and moves the checkpoint, in one transaction.
func (x *Index) commit(ctx context.Context, shard string, from, to consumer.Checkpoint, records []types.Record) error {
	decoded := make([]Record, len(records))
	for n, raw := range records {
		var err error
		if decoded[n], err = Decode(raw); err != nil {
			return &haltError{n, err}
		}
	}
	err := x.database.transact(ctx, func(ctx context.Context, tx *sql.Tx, store eventstore.Store) error {
		if err := x.move(ctx, tx, shard, from, to); err != nil {
			return err
		}
		if err := x.step(); err != nil {
			return err
		}
		f := folding{x: x, tx: tx, store: store, streams: map[eventstore.StreamID]State{}}
		for n, record := range decoded {
			if err := f.take(ctx, record); err != nil {
				if errors.Is(err, ErrGap) || errors.Is(err, ErrForeignWrite) {
					err = &haltError{n, fmt.Errorf("record at %s: %w", *records[n].SequenceNumber, err)}
				}
				return err
			}
			if err := x.step(); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		x.moved.Notify()
	}
	return err
}

// move compares and moves the checkpoint. It comes first: its row is locked from then on, so that a worker
// that has been taken over from does nothing.
func (x *Index) move(ctx context.Context, tx *sql.Tx, shard string, from, to consumer.Checkpoint) error {
	beat, seen := x.now().UnixMicro(), secondsOf(to.Seen)
	done, err := tx.ExecContext(ctx, x.sql.moveShard, shard, to.Sequence, bit(to.Ended), beat, seen, from.Sequence, bit(from.Ended))
	if moved, err := affected(done, err); err != nil || moved {
		return err
	}
	if from.IsAt(consumer.Checkpoint{}) {
		done, err = tx.ExecContext(ctx, x.sql.beginShard, shard, to.Sequence, bit(to.Ended), beat, seen)
		if begun, err := affected(done, err); err != nil || begun {
			return err
		}
	}
	return fmt.Errorf("%w: the checkpoint of %s is not at %q", consumer.ErrLost, shard, from.Sequence)
}

func affected(done sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := done.RowsAffected()
	return n > 0, err
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// folding is the fold inside a transaction. It remembers the streams that it has met.
type folding struct {
	x       *Index
	tx      *sql.Tx
	store   eventstore.Store
	streams map[eventstore.StreamID]State
}

// take judges a record, and applies it if it is accepted.
func (f *folding) take(ctx context.Context, record Record) error {
	at, err := f.state(ctx, record)
	if err != nil {
		return err
	}
	verdict, err := f.x.judge(record, at)
	if err != nil || verdict != Accepted {
		return err
	}
	receipt, err := f.apply(ctx, record)
	switch {
	case errors.Is(err, eventstore.ErrVersionConflict), errors.Is(err, eventstore.ErrStreamDeleted):
		return fmt.Errorf("%w: %w", ErrForeignWrite, err)
	case err != nil:
		return fmt.Errorf("append to the index: %w", err)
	}
	var command, hash any
	if !record.Command.ID.IsZero() {
		command, hash = record.Command.ID[:], record.Command.Hash[:]
	}
	_, err = f.tx.ExecContext(ctx, f.x.sql.insertCommit, string(record.Stream), int64(record.Expect+1), int64(record.last()),
		int64(receipt.Token.Position), bit(record.Delete), record.Commit[:], command, hash)
	f.streams[record.Stream] = State{Version: record.last(), Deleted: record.Delete}
	return err
}

func (f *folding) state(ctx context.Context, record Record) (State, error) {
	at, met := f.streams[record.Stream]
	if !met {
		var err error
		if at, err = f.x.state(ctx, f.tx, record.Stream); err != nil {
			return at, err
		}
		f.streams[record.Stream] = at
	}
	if record.Command.ID.IsZero() {
		return at, nil
	}
	_, knows, err := f.x.commandOn(ctx, f.tx, record.Command.ID, record.Stream)
	at.Knows = knows
	return at, err
}

// apply appends to the store of the index.
func (f *folding) apply(ctx context.Context, record Record) (eventstore.Receipt, error) {
	if !record.Delete {
		return f.store.Append(ctx, record.request())
	}
	deleter, ok := f.store.(eventstore.StreamDeleter)
	if !ok {
		return eventstore.Receipt{}, &eventstore.UnsupportedError{Part: eventstore.Deletion}
	}
	return deleter.DeleteStream(ctx, record.Stream, eventstore.Exactly(record.Expect))
}
