package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/internal/leases"
	"github.com/leftfold/leftfold/projection"
)

// Leases implements [projection.Checkpoints]. The clock is the server's.
func (s *Sink) Leases(of projection.Generation, source eventstore.StoreID) subscription.Leases {
	return leases.New(s.shares(of, source))
}

// shares is how far a generation has come with one source, and who works on it.
type shares struct {
	sink   *Sink
	of     projection.Generation
	source eventstore.StoreID
}

func (s *Sink) shares(of projection.Generation, source eventstore.StoreID) shares {
	return shares{s, of, source}
}

// key are the columns by which every table of it is keyed, and more values behind them.
func (f shares) key(more ...[]byte) [][]byte {
	return append([][]byte{[]byte(f.of.Name), bigint(int64(f.of.Version)), f.source[:]}, more...)
}

func (f shares) Load(ctx context.Context) (state *leases.State, now time.Time, err error) {
	err = f.sink.on(ctx, func(on session) error {
		state, now, err = f.load(ctx, on, f.sink.db.sql.segments)
		return err
	})
	return state, now, err
}

// Update locks the segments: a commit that moves one of their checkpoints waits for its end, and
// an append, if the projection is inline.
func (f shares) Update(ctx context.Context, change func(*leases.State, time.Time) error) error {
	return f.sink.on(ctx, func(on session) error {
		return inTransaction(ctx, on.conn, "", func(pgx.Tx) error {
			if err := on.one(ctx, f.sink.db.sql.boundPauses, noColumns); err != nil {
				return err
			}
			return f.updateAt(ctx, on, change)
		})
	})
}

// update does it in a transaction.
func (f shares) update(ctx context.Context, on session, change func(*leases.State) error) error {
	return f.updateAt(ctx, on, func(state *leases.State, _ time.Time) error { return change(state) })
}

func (f shares) updateAt(ctx context.Context, on session, change func(*leases.State, time.Time) error) error {
	before, now, err := f.lock(ctx, on)
	if err != nil {
		return err
	}
	if before == nil {
		return subscription.ErrNoSegment
	}
	after := before.Clone()
	if err := change(after, now); err != nil {
		return err
	}
	return f.save(ctx, on, leases.Changed(before, after))
}

// lock locks the segments, and returns the state as it is then.
//
// A split that commits while the statement waits adds a segment that the statement does not see: some keys
// are of no segment then. It is seen by a second look, behind which there is no split: that takes the locks.
func (f shares) lock(ctx context.Context, on session) (*leases.State, time.Time, error) {
	state, now, err := f.load(ctx, on, f.sink.db.sql.lockSegments)
	if err == nil && state != nil && !state.Covers() {
		state, now, err = f.load(ctx, on, f.sink.db.sql.lockSegments)
	}
	return state, now, err
}

// load returns the state, nil if the generation was never opened for the source, and the time
// after its rows were locked.
func (f shares) load(ctx context.Context, on session, segments statement) (*leases.State, time.Time, error) {
	state := &leases.State{Workers: map[subscription.WorkerID]time.Time{}}
	var now time.Time
	err := on.rows(ctx, segments, func(row [][]byte) error {
		l, err := f.scan(row)
		state.Segments = append(state.Segments, l)
		return err
	}, f.key()...)
	if err != nil || len(state.Segments) == 0 {
		return nil, now, err
	}
	err = on.rows(ctx, f.sink.db.sql.workers, func(row [][]byte) error {
		state.Workers[subscription.WorkerID(row[0])] = readTime(row[1])
		return nil
	}, f.key()...)
	if err == nil {
		err = on.one(ctx, f.sink.db.sql.clock, func(row [][]byte) error {
			now = readTime(row[0])
			return nil
		})
	}
	return state, now, err
}

// scan reads a row of segments.
func (f shares) scan(row [][]byte) (l leases.Segment, err error) {
	l.Checkpoint = f.checkpoint(row)
	l.Holder = subscription.WorkerID(row[7])
	if row[8] != nil {
		l.Until = readTime(row[8])
	}
	if len(row[9]) > 0 {
		if err = json.Unmarshal(row[9], &l.Report); err != nil {
			err = fmt.Errorf("read the report of segment %s: %w", l.Segment, err)
		}
	}
	return l, err
}

// checkpoint reads the columns of a checkpoint, which stand first in a row of segments.
func (f shares) checkpoint(row [][]byte) subscription.Checkpoint {
	return subscription.Checkpoint{
		Segment:    subscription.Segment{First: eventstore.Slice(readInt2(row[0])), End: eventstore.Slice(readInt2(row[1]))},
		Source:     eventstore.Identity{Store: f.source, Incarnation: readInt4(row[2])},
		Anchor:     anchor(eventstore.Position(readInt8(row[3])), row[4]),
		Fence:      readInt8(row[5]),
		Parks:      readInt8(row[6]),
		Generation: f.of.String(),
	}
}

func (f shares) save(ctx context.Context, on session, c leases.Changes) error {
	sql := &f.sink.db.sql
	for _, first := range c.Drop {
		if _, err := on.row(ctx, sql.dropSegment, noColumns, f.key(int2(int(first)))...); err != nil {
			return err
		}
	}
	for _, l := range c.Put {
		report, err := json.Marshal(l.Report)
		if err != nil {
			return err
		}
		_, err = on.row(ctx, sql.putSegment, noColumns, f.key(int2(int(l.Segment.First)), int2(int(l.Segment.End)), int4(l.Source.Incarnation),
			position(l.Position()), l.Anchor.EventID[:], bigint(l.Fence), bigint(l.Parks), []byte(l.Holder), timestamp(l.Until), report)...)
		if err != nil {
			return err
		}
	}
	for worker, until := range c.Workers {
		if _, err := on.row(ctx, sql.putWorker, noColumns, f.key([]byte(worker), timestamp(until))...); err != nil {
			return err
		}
	}
	for _, worker := range c.Gone {
		if _, err := on.row(ctx, sql.dropWorker, noColumns, f.key([]byte(worker))...); err != nil {
			return err
		}
	}
	return nil
}

// Parked implements [projection.Checkpoints].
func (s *Sink) Parked(ctx context.Context, of projection.Generation, source eventstore.StoreID) (all []projection.Parked, err error) {
	err = s.on(ctx, func(on session) error {
		all, err = s.shares(of, source).parked(ctx, on)
		return err
	})
	return all, err
}

func (f shares) parked(ctx context.Context, on session) (all []projection.Parked, err error) {
	err = on.rows(ctx, f.sink.db.sql.parked, func(row [][]byte) error {
		all = append(all, projection.Parked{
			Key: string(row[0]), Event: anchor(eventstore.Position(readInt8(row[1])), row[2]),
			Type: string(row[3]), Cause: string(row[4]), At: readTime(row[5]),
		})
		return nil
	}, f.key()...)
	return all, err
}

// park writes what a move parks and takes up again, in the transaction that has made the move.
func (s *Sink) park(ctx context.Context, on session, of projection.Generation, m projection.Move) error {
	f := s.shares(of, m.To.Source.Store)
	for _, key := range m.Unpark {
		if _, err := on.row(ctx, s.db.sql.unpark, noColumns, f.key([]byte(key))...); err != nil {
			return err
		}
	}
	for _, p := range m.Park {
		_, err := on.row(ctx, s.db.sql.park, noColumns, f.key([]byte(p.Key), position(p.Event.Position), p.Event.EventID[:], []byte(p.Type), []byte(p.Cause), timestamp(p.At))...)
		if err != nil {
			return err
		}
	}
	return nil
}
