package projectiontest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/leftfold/leftfold/adapters/memory"
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

func TestEveryMutantSinkIsCaught(t *testing.T) {
	plain := func() mutant { return mutant{memory.NewSink()} }
	for _, m := range []struct {
		name   string
		sink   projection.Sink
		caught string
	}{
		{"blind checkpoint", blind{plain()}, "a commit from another checkpoint than the stored one is ErrStale and changes nothing"},
		{"blind checkpoint", blind{plain()}, "of rivals that commit from one checkpoint exactly one wins"},
		{"no anchor", anchorless{plain()}, "a commit from another checkpoint than the stored one is ErrStale and changes nothing"},
		{"no fence", fenceless{plain()}, "a commit from another checkpoint than the stored one is ErrStale and changes nothing"},
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
