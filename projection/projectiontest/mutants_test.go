package projectiontest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// Each mutant is a sink with one planted bug. The named clause must catch it; a
// clause that lets it live proves nothing about real sinks.

type mutant struct{ projection.Sink }

// blind moves the checkpoint wherever it stands.
type blind struct{ mutant }

func (m blind) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	stored, err := m.Checkpoint(ctx, model.Generation, move.To.Source.Store)
	if err != nil {
		return err
	}
	move.From = stored
	return m.Sink.Commit(ctx, model, move, changes)
}

// anchorless compares the position only.
type anchorless struct{ mutant }

func (m anchorless) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	stored, err := m.Checkpoint(ctx, model.Generation, move.To.Source.Store)
	if err == nil && stored.Position() == move.From.Position() {
		move.From = stored
	}
	return m.Sink.Commit(ctx, model, move, changes)
}

// fenceless lets any holder of a lease write.
type fenceless struct{ mutant }

func (m fenceless) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	stored, err := m.Checkpoint(ctx, model.Generation, move.To.Source.Store)
	if err != nil {
		return err
	}
	move.From.Fence = stored.Fence
	return m.Sink.Commit(ctx, model, move, changes)
}

// halves writes the rows in one transaction and the checkpoint in a second, and is
// cut off between them now and then.
type halves struct {
	mutant
	commits *atomic.Int64
}

func (m halves) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	stored, err := m.Checkpoint(ctx, model.Generation, move.To.Source.Store)
	if err != nil {
		return err
	}
	if stored != move.From {
		return subscription.ErrStale
	}
	if err := m.Sink.Commit(ctx, model, projection.Move{From: stored, To: stored}, changes); err != nil {
		return err
	}
	if m.commits.Add(1)%3 == 0 {
		return errLost
	}
	return m.Sink.Commit(ctx, model, move, nil)
}

// early moves the checkpoint first and writes the rows after.
type early struct {
	mutant
	commits *atomic.Int64
}

func (m early) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if err := m.Sink.Commit(ctx, model, move, nil); err != nil {
		return err
	}
	if m.commits.Add(1)%3 == 0 {
		return errLost
	}
	return m.Sink.Commit(ctx, model, projection.Move{From: move.To, To: move.To}, changes)
}

// lagging shows rows as they were before the last commit, like a reader that does not
// wait for the checkpoint it promises. Its own commits are right.
type lagging struct {
	mutant
	mu   sync.Mutex
	last map[projection.Generation][]projection.Change
}

func (m *lagging) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	late := m.last[model.Generation]
	for _, change := range changes { // a row that changes again must not be set back
		late = slices.DeleteFunc(late, func(c projection.Change) bool { return c.Key == change.Key })
	}
	m.last[model.Generation] = changes
	return m.Sink.Commit(ctx, model, move, late)
}

// keeper never deletes.
type keeper struct{ mutant }

func (m keeper) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	var kept []projection.Change
	for _, change := range changes {
		if !change.Deleted {
			kept = append(kept, change)
		}
	}
	return m.Sink.Commit(ctx, model, move, kept)
}

// repeating starts each page with the row the last one ended on.
type repeating struct{ mutant }

func (m repeating) List(ctx context.Context, model projection.Model, list projection.ListQuery) ([]projection.Row, error) {
	after := list.After
	list.After = nil
	list.Limit += 1000
	rows, err := m.Sink.List(ctx, model, list)
	for n, row := range rows {
		if after != nil && row.Key == after.Key {
			rows = rows[n:]
			break
		}
	}
	return rows[:min(len(rows), list.Limit-1000)], err
}

// parkless commits whatever list of parked keys its caller had in mind.
type parkless struct{ mutant }

func (m parkless) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	stored, err := m.Checkpoint(ctx, model.Generation, move.To.Source.Store)
	if err != nil {
		return err
	}
	move.From.Parks = stored.Parks
	return m.Sink.Commit(ctx, model, move, changes)
}

// forgetful parks nothing.
type forgetful struct{ mutant }

func (m forgetful) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	move.Park = nil
	return m.Sink.Commit(ctx, model, move, changes)
}

// leasing is a sink with a bug planted in its leases.
type leasing struct {
	mutant
	plant func(projection.Sink, subscription.Leases) subscription.Leases
}

func (m leasing) Leases(of projection.Generation, source eventstore.StoreID) subscription.Leases {
	return m.plant(m.Sink, m.Sink.Leases(of, source))
}

// stealing gives a segment to whoever asks.
type stealing struct{ subscription.Leases }

func (l stealing) Acquire(ctx context.Context, worker subscription.WorkerID, segment subscription.Segment, ttl time.Duration) (subscription.Checkpoint, error) {
	at, err := l.Leases.Acquire(ctx, worker, segment, ttl)
	if !errors.Is(err, subscription.ErrHeld) {
		return at, err
	}
	roster, err := l.Roster(ctx)
	if err != nil {
		return at, err
	}
	for _, held := range roster.Segments {
		if err := l.Release(ctx, held.Holder, held.Checkpoint); err != nil {
			return at, err
		}
	}
	return l.Leases.Acquire(ctx, worker, segment, ttl)
}

// reviving prolongs leases that have ended.
type reviving struct{ subscription.Leases }

func (l reviving) Attend(ctx context.Context, worker subscription.WorkerID, ttl time.Duration, reports []subscription.Report) (subscription.Roster, error) {
	for _, report := range reports {
		_, _ = l.Acquire(ctx, worker, report.Segment, ttl)
	}
	return l.Leases.Attend(ctx, worker, ttl, reports)
}

// speechless keeps no reports, and so prolongs nothing.
type speechless struct{ subscription.Leases }

func (l speechless) Attend(ctx context.Context, worker subscription.WorkerID, ttl time.Duration, _ []subscription.Report) (subscription.Roster, error) {
	return l.Leases.Attend(ctx, worker, ttl, nil)
}

// joining merges segments wherever they stand, and so passes over what one of them lacks.
type joining struct {
	subscription.Leases
	sink projection.Sink
}

func (l joining) Merge(ctx context.Context, worker subscription.WorkerID, low, high subscription.Checkpoint) (subscription.Checkpoint, error) {
	joined, err := l.Leases.Merge(ctx, worker, low, high)
	if !errors.Is(err, subscription.ErrStale) {
		return joined, err
	}
	level := high
	level.Anchor = low.Anchor
	if err := l.sink.Commit(ctx, everyKind, projection.Move{From: high, To: level}, nil); err != nil {
		return joined, err
	}
	return l.Leases.Merge(ctx, worker, low, level)
}

// heedless says that it pauses.
type heedless struct{ subscription.Leases }

func (heedless) Pause(context.Context) error { return nil }

// brief pauses for no longer than a lease lasts.
type brief struct{ subscription.Leases }

func (l brief) Pause(ctx context.Context) error {
	roster, err := l.Roster(ctx)
	for _, segment := range roster.Segments {
		if err == nil {
			err = l.Release(ctx, segment.Holder, segment.Checkpoint)
		}
		if err == nil {
			_, err = l.Acquire(ctx, subscription.OnPause, segment.Segment, time.Nanosecond)
		}
	}
	return err
}

func TestEveryMutantSinkIsCaught(t *testing.T) {
	plain := func() mutant { return mutant{memory.NewSink()} }
	plant := func(bug func(projection.Sink, subscription.Leases) subscription.Leases) projection.Sink {
		return leasing{plain(), bug}
	}
	for _, m := range []struct {
		name   string
		sink   projection.Sink
		caught string
	}{
		{"blind checkpoint", blind{plain()}, "a commit from another checkpoint than the stored one is ErrStale and changes nothing"},
		{"blind checkpoint", blind{plain()}, "of rivals that commit from one checkpoint exactly one wins"},
		{"no anchor", anchorless{plain()}, "a commit from another checkpoint than the stored one is ErrStale and changes nothing"},
		{"no fence", fenceless{plain()}, "a commit from another checkpoint than the stored one is ErrStale and changes nothing"},
		{"no fence", fenceless{plain()}, "to acquire raises the fence, and commits under an older one are ErrStale"},
		{"no count of parks", parkless{plain()}, "a commit with an older list of parked keys in mind is ErrStale and changes nothing"},
		{"parks nothing", forgetful{plain()}, "a commit parks keys and takes them up again"},
		{"steals leases", plant(func(_ projection.Sink, l subscription.Leases) subscription.Leases { return stealing{l} }), "a segment that is held is ErrHeld for others until it is released, and its holder may acquire it again"},
		{"steals leases", plant(func(_ projection.Sink, l subscription.Leases) subscription.Leases { return stealing{l} }), "of rivals for a segment exactly one gets it"},
		{"revives leases", plant(func(_ projection.Sink, l subscription.Leases) subscription.Leases { return reviving{l} }), "a lease ends by itself, and cannot be prolonged or released then"},
		{"keeps no reports", plant(func(_ projection.Sink, l subscription.Leases) subscription.Leases { return speechless{l} }), "to attend prolongs the leases that are reported under their fences"},
		{"merges what is apart", plant(func(s projection.Sink, l subscription.Leases) subscription.Leases { return joining{l, s} }), "neighbours merge at one checkpoint and under both leases, and not else"},
		{"pauses nothing", plant(func(_ projection.Sink, l subscription.Leases) subscription.Leases { return heedless{l} }), "a pause takes every segment from its holder under a new fence, and keeps it until it is resumed"},
		{"pauses for a moment", plant(func(_ projection.Sink, l subscription.Leases) subscription.Leases { return brief{l} }), "a pause takes every segment from its holder under a new fence, and keeps it until it is resumed"},
		{"pauses without a fence", fenceless{plain()}, "a pause takes every segment from its holder under a new fence, and keeps it until it is resumed"},
		{"never deletes", keeper{plain()}, "a deleted row is gone, and deleting what is not there changes nothing"},
		{"cursor includes its row", repeating{plain()}, "pages of a list hold every row once, equal values included"},
	} {
		t.Run(m.name+" by "+m.caught, func(t *testing.T) { mustFail(t, sinkClauses, m.caught, m.sink) })
	}
	for _, m := range []struct {
		name   string
		sink   projection.Sink
		caught string
	}{
		{"rows later than the checkpoint", &lagging{mutant: plain(), last: map[projection.Generation][]projection.Change{}}, "an answer after a token includes the append, while the projection runs"},
		{"parks nothing", forgetful{plain()}, "a key that cannot be made is parked while the others go on, and is retried or skipped"},
		{"second transaction", halves{plain(), new(atomic.Int64)}, "lost answers of the sink neither lose nor repeat an event"},
		{"checkpoint before rows", early{plain(), new(atomic.Int64)}, "lost answers of the sink neither lose nor repeat an event"},
		{"blind checkpoint", blind{plain()}, "rival runners that stop at any moment neither lose nor repeat an event"},
	} {
		t.Run(m.name+" by "+m.caught, func(t *testing.T) {
			mustFail(t, effectClauses, m.caught, Parts{memory.NewStore(), m.sink})
		})
	}
}

func mustFail[S any](t *testing.T, clauses []clause[S], rule string, subject S) {
	t.Helper()
	for _, c := range clauses {
		if c.rule == rule {
			if err := c.check(t.Context(), subject); err == nil || errors.Is(err, context.Canceled) {
				t.Fatalf("the mutant survived (%v)", err)
			} else {
				t.Logf("caught: %v", err)
			}
			return
		}
	}
	t.Fatalf("there is no clause %q", rule)
}
