package kinesisstore

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/wake"
)

// Index is what can be read of a Kinesis stream: the fold of its records, in a store. It is a
// [consumer.Target]: a shard's checkpoint moves in the transaction that takes its records in.
//
// Two indexes of one stream hold the same streams, event by event. The order between streams is each
// index's own, so that positions and tokens are too. Several processes may have one index open.
type Index struct {
	database Database
	sql      statements
	stream   Stream
	store    eventstore.StoreID
	base     int32 // of the incarnation
	moved    wake.Signal
	now      func() time.Time
	judge    func(Record, State) (Verdict, error)
	step     func() error // asked behind each step of a transaction: a test ends it there
}

var _ consumer.Target = (*Index)(nil)

// OpenIndex opens the index of the stream in the database, and makes its tables there the first time.
// The store must be empty then ([ErrForeignWrite]). [ErrOtherStream]: the index is of another one.
func OpenIndex(ctx context.Context, database Database, stream Stream) (*Index, error) {
	x := newIndex(database, stream)
	if err := x.open(ctx); err != nil {
		return nil, fmt.Errorf("open the index of %s: %w", stream.ARN, err)
	}
	return x, nil
}

// FindIndex is [OpenIndex] for who only looks, or appends: it makes nothing, and its role needs not be able to. It fails
// with [ErrNoIndex] if there is no index in the database.
func FindIndex(ctx context.Context, database Database, stream Stream) (*Index, error) {
	x := newIndex(database, stream)
	var err error
	if x.sql, err = database.statements(); err != nil {
		return nil, err
	}
	found, err := x.find(ctx)
	switch {
	case errors.Is(err, ErrOtherStream), err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("open the index of %s: %w", stream.ARN, err)
	case err != nil: // its tables are not there, or cannot be read
		return nil, fmt.Errorf("open the index of %s: %w: %w", stream.ARN, ErrNoIndex, err)
	case !found:
		return nil, fmt.Errorf("open the index of %s: %w", stream.ARN, ErrNoIndex)
	}
	return x, nil
}

func newIndex(database Database, stream Stream) *Index {
	return &Index{database: database, stream: stream, now: time.Now, judge: Judge, step: func() error { return nil }}
}

func (x *Index) open(ctx context.Context) (err error) {
	if x.sql, err = x.database.statements(); err != nil {
		return err
	}
	if err := x.database.migrate(ctx); err != nil {
		return err
	}
	found, err := x.find(ctx)
	if err != nil || found {
		return err
	}
	refused := x.create(ctx)
	// Another process may have made it meanwhile, and may have events in it by now.
	if found, err = x.find(ctx); err != nil || found {
		return err
	}
	return refused
}

// find reads which index is there.
func (x *Index) find(ctx context.Context) (found bool, err error) {
	var id []byte
	var stream string
	err = x.database.db.QueryRowContext(ctx, x.sql.findIndex).Scan(&id, &stream, &x.base)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	case stream != x.stream.life():
		return false, fmt.Errorf("%w: it is of %s, not of %s", ErrOtherStream, stream, x.stream.life())
	}
	copy(x.store[:], id)
	return true, nil
}

// create names a new index. Every index of a stream is the same store, in another incarnation: whoever has
// read one and comes to another one is told that the log has diverged, and does not mix the two.
func (x *Index) create(ctx context.Context) error {
	head, err := x.database.store.Head(ctx)
	if err != nil {
		return err
	}
	if head.Position != 0 {
		return fmt.Errorf("%w: its head is at %d", ErrForeignWrite, head.Position)
	}
	hash := sha256.Sum256([]byte(x.stream.life()))
	var random [4]byte
	_, _ = rand.Read(random[:]) // documented to never fail since Go 1.24
	base := binary.BigEndian.Uint32(random[:]) >> 2
	_, err = x.database.db.ExecContext(ctx, x.sql.createIndex, hash[:16], x.stream.life(), int64(base))
	return err
}

// Stream returns the stream that the index is of.
func (x *Index) Stream() Stream { return x.stream }

// ours returns what the index's store calls an identity as that of the index: with each life of the
// database under it, the index has a new one.
func (x *Index) ours(inner eventstore.Identity) eventstore.Identity {
	return eventstore.Identity{Store: x.store, Incarnation: x.base + inner.Incarnation}
}

// Checkpoint implements [consumer.Target].
func (x *Index) Checkpoint(ctx context.Context, shard string) (consumer.Checkpoint, error) {
	at, _, err := x.progress(ctx, shard)
	return at, err
}

// progress returns how far a shard has been taken in, and when its indexer last gave a sign of life.
func (x *Index) progress(ctx context.Context, shard string) (at consumer.Checkpoint, beat time.Time, err error) {
	var ended, seen, micros int64
	err = x.database.db.QueryRowContext(ctx, x.sql.checkpoint, shard).Scan(&at.Sequence, &ended, &seen, &micros)
	if errors.Is(err, sql.ErrNoRows) {
		return at, beat, nil
	}
	at.Ended, at.Seen = ended == 1, timeOf(seen)
	return at, time.UnixMicro(micros).UTC(), err
}

// Seen times are kept in whole seconds; 0 is the zero time.
func secondsOf(seen time.Time) int64 {
	if seen.IsZero() {
		return 0
	}
	return seen.Unix()
}

func timeOf(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// ShardStatus is how far one shard has been taken in.
type ShardStatus struct {
	Shard string
	consumer.Checkpoint

	// Heartbeat is when its indexer last gave a sign of life.
	Heartbeat time.Time
}

// Shards returns how far every shard has been taken in that was ever begun, ordered by name;
// [consumer.Beginning] is one of them.
func (x *Index) Shards(ctx context.Context) ([]ShardStatus, error) {
	rows, err := x.database.db.QueryContext(ctx, x.sql.shards)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []ShardStatus
	for rows.Next() {
		var s ShardStatus
		var ended, seen, beat int64
		if err := rows.Scan(&s.Shard, &s.Sequence, &ended, &beat, &seen); err != nil {
			return nil, err
		}
		s.Ended, s.Seen, s.Heartbeat = ended == 1, timeOf(seen), time.UnixMicro(beat).UTC()
		all = append(all, s)
	}
	return all, rows.Err()
}
