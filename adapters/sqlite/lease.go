package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/internal/leases"
	"github.com/leftfold/leftfold/projection"
)

// Leases implements [projection.Checkpoints]. The clock is that of the machine: processes that
// share a file share it.
func (s *Sink) Leases(of projection.Generation, source eventstore.StoreID) subscription.Leases {
	return leases.New(s.following(of, source))
}

// following is how far a generation has come with one source, and who works on it.
type following struct {
	sink   *Sink
	of     projection.Generation
	source eventstore.StoreID
}

func (s *Sink) following(of projection.Generation, source eventstore.StoreID) following {
	return following{s, of, source}
}

// key are the columns by which every table of it is keyed, and more values behind them.
func (f following) key(more ...any) []any {
	return append([]any{f.of.Name, f.of.Version, f.source[:]}, more...)
}

func (f following) Load(ctx context.Context) (state *leases.State, now time.Time, err error) {
	err = f.sink.file.read(ctx, func(tx *transaction) error {
		state, err = f.load(ctx, tx)
		return err
	})
	return state, time.Now(), err
}

func (f following) Update(ctx context.Context, change func(*leases.State, time.Time) error) error {
	return f.sink.write(ctx, func(tx *transaction) error {
		return f.update(ctx, tx, func(state *leases.State) error { return change(state, time.Now()) })
	})
}

func (f following) update(ctx context.Context, tx *transaction, change func(*leases.State) error) error {
	before, err := f.load(ctx, tx)
	if err != nil {
		return err
	}
	if before == nil {
		return subscription.ErrNoSegment
	}
	after := before.Clone()
	if err := change(after); err != nil {
		return err
	}
	return f.save(ctx, tx, leases.Changed(before, after))
}

// load returns the state; nil if the generation was never opened for the source.
func (f following) load(ctx context.Context, tx *transaction) (*leases.State, error) {
	state := &leases.State{Workers: map[subscription.WorkerID]time.Time{}}
	var err error
	if state.Segments, err = f.segments(ctx, tx); err != nil || len(state.Segments) == 0 {
		return nil, err
	}
	rows, err := tx.query(ctx, workersSQL, f.key()...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var worker subscription.WorkerID
		var until int64
		if err := rows.Scan(&worker, &until); err != nil {
			return nil, err
		}
		state.Workers[worker] = time.UnixMicro(until)
	}
	return state, rows.Err()
}

func (f following) segments(ctx context.Context, tx *transaction) (all []leases.Segment, err error) {
	rows, err := tx.query(ctx, segmentsSQL, f.key()...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		l := leases.Segment{Checkpoint: subscription.Checkpoint{Generation: f.of.String()}}
		l.Source.Store = f.source
		var anchor []byte
		var until int64
		var report string
		if err := rows.Scan(&l.Segment.First, &l.Segment.End, &l.Source.Incarnation, &l.Anchor.Position, &anchor, &l.Fence, &l.Parks, &l.Holder, &until, &report); err != nil {
			return nil, err
		}
		copy(l.Anchor.EventID[:], anchor)
		if until > 0 {
			l.Until = time.UnixMicro(until)
		}
		if report != "" {
			if err := json.Unmarshal([]byte(report), &l.Report); err != nil {
				return nil, fmt.Errorf("read the report of segment %s: %w", l.Segment, err)
			}
		}
		all = append(all, l)
	}
	return all, rows.Err()
}

func (f following) save(ctx context.Context, tx *transaction, c leases.Changes) error {
	for _, first := range c.Drop {
		if err := tx.exec(ctx, dropSegmentSQL, f.key(int64(first))...); err != nil {
			return err
		}
	}
	for _, l := range c.Put {
		if err := f.put(ctx, tx, l); err != nil {
			return err
		}
	}
	for worker, until := range c.Workers {
		if err := tx.exec(ctx, putWorkerSQL, f.key(string(worker), until.UnixMicro())...); err != nil {
			return err
		}
	}
	for _, worker := range c.Gone {
		if err := tx.exec(ctx, dropWorkerSQL, f.key(string(worker))...); err != nil {
			return err
		}
	}
	return nil
}

func (f following) put(ctx context.Context, tx *transaction, l leases.Segment) error {
	report, err := json.Marshal(l.Report)
	if err != nil {
		return err
	}
	until := int64(0)
	if !l.Until.IsZero() {
		until = l.Until.UnixMicro()
	}
	return tx.exec(ctx, putSegmentSQL, f.key(int64(l.Segment.First), int64(l.Segment.End), l.Source.Incarnation,
		int64(l.Anchor.Position), l.Anchor.EventID[:], l.Fence, l.Parks, string(l.Holder), until, string(report))...)
}

// move moves the checkpoint of a segment, and parks and unparks keys.
func (f following) move(ctx context.Context, tx *transaction, m projection.Move) error {
	if m.From.Source.Store != m.To.Source.Store || m.From.Segment != m.To.Segment {
		return subscription.ErrStale
	}
	statement, err := tx.statement(ctx, moveSegmentSQL)
	if err != nil {
		return err
	}
	moved, err := statement.ExecContext(context.WithoutCancel(ctx), f.key(int64(m.From.Segment.First), int64(m.From.Segment.End),
		m.To.Source.Incarnation, int64(m.To.Anchor.Position), m.To.Anchor.EventID[:], m.To.Fence, m.To.Parks,
		m.From.Source.Incarnation, int64(m.From.Anchor.Position), m.From.Anchor.EventID[:], m.From.Fence, m.From.Parks)...)
	if err != nil {
		return err
	}
	if rows, err := moved.RowsAffected(); err != nil || rows != 1 {
		if err == nil {
			err = subscription.ErrStale
		}
		return err
	}
	for _, key := range m.Unpark {
		if err := tx.exec(ctx, unparkSQL, f.key(key)...); err != nil {
			return err
		}
	}
	for _, p := range m.Park {
		if err := tx.exec(ctx, parkSQL, f.key(p.Key, int64(p.Event.Position), p.Event.EventID[:], p.Type, p.Cause, p.At.UnixMicro())...); err != nil {
			return err
		}
	}
	return nil
}

// Parked implements [projection.Checkpoints].
func (s *Sink) Parked(ctx context.Context, of projection.Generation, source eventstore.StoreID) (all []projection.Parked, err error) {
	err = s.file.read(ctx, func(tx *transaction) error {
		all, err = s.following(of, source).parked(ctx, tx)
		return err
	})
	return all, err
}

func (f following) parked(ctx context.Context, tx *transaction) (all []projection.Parked, err error) {
	rows, err := tx.query(ctx, parkedSQL, f.key()...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var p projection.Parked
		var id []byte
		var at int64
		if err := rows.Scan(&p.Key, &p.Event.Position, &id, &p.Type, &p.Cause, &at); err != nil {
			return nil, err
		}
		copy(p.Event.EventID[:], id)
		p.At = time.UnixMicro(at).UTC()
		all = append(all, p)
	}
	return all, rows.Err()
}
