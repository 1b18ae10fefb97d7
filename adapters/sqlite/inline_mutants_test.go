package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

type (
	inlineParts = projectiontest.InlineParts[*sql.Tx]
	inlineStore = projectiontest.InlineStore[*sql.Tx]
	inlineSet   = projection.Inline[*sql.Tx]
)

// Each mutant has one planted bug, which the named clause must catch.
func TestMutantsThatApplyProjectionsBesideTheAppendAreCaught(t *testing.T) {
	for _, m := range []struct {
		name   string
		plant  func(t *testing.T, p inlineParts, db *sql.DB) inlineParts
		caught []string
	}{
		{"a writer passes the views by", passesBy, []string{"a program with other inline projections cannot append, is told which, and can read"}},
		{"rows are written after the append", writesAfter, []string{
			"an event that a view cannot apply refuses its own append only, and is named",
			"an event that does not decode refuses its append, and is named",
		}},
		{"a refusal refuses its neighbours", refusesNeighbours, []string{
			"an event that a view cannot apply refuses its own append only, and is named",
			"a handler writes in the append's transaction, and refuses its own append only",
		}},
		{"what was there before the switch is left out", switchesAtTheHead, []string{"a projection becomes inline from where its runner was, and goes back to it"}},
		{"the fence is not raised", keepsTheFence, []string{"what a worker has under way when its projection becomes inline does not take effect"}},
		{"workers may take an inline projection", leavesTheLease, []string{"status says that a projection is inline, a runner of it is told, and a worker waits"}},
	} {
		for _, rule := range m.caught {
			t.Run(m.name+" by "+rule, func(t *testing.T) {
				path := newPath(t)
				p := inlineOn(t, path)
				db, err := sql.Open("sqlite", path+"?_busy_timeout=5000")
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, db.Close()) })
				err = projectiontest.CheckInline(t.Context(), m.plant(t, p, db), rule)
				require.Error(t, err, "the mutant survived")
				require.NotErrorIs(t, err, context.DeadlineExceeded)
				t.Log(err)
			})
		}
	}
}

// opening changes what Open returns.
func opening(p inlineParts, change func(s inlineStore, inline inlineSet) inlineStore) inlineParts {
	open := p.Open
	p.Open = func(ctx context.Context, inline inlineSet) (inlineStore, error) {
		s, err := open(ctx, inline)
		if err != nil {
			return s, err
		}
		return change(s, inline), nil
	}
	return p
}

// appending is a store whose appends go another way.
type appending struct {
	*sqlite.Store
	append func(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error)
}

func (a appending) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	return a.append(ctx, request)
}

func passesBy(_ *testing.T, p inlineParts, db *sql.DB) inlineParts {
	return opening(p, func(s inlineStore, inline inlineSet) inlineStore {
		if len(inline.Views) > 0 {
			return s
		}
		store := s.Store.(*sqlite.Store)
		s.Store = appending{store, func(ctx context.Context, request eventstore.AppendRequest) (receipt eventstore.Receipt, err error) {
			var set int64
			if err := db.QueryRowContext(ctx, "SELECT inline_set FROM store").Scan(&set); err != nil {
				return receipt, err
			}
			if _, err := db.ExecContext(ctx, "UPDATE store SET inline_set = 0"); err != nil {
				return receipt, err
			}
			receipt, err = store.Append(ctx, request)
			_, failed := db.ExecContext(ctx, "UPDATE store SET inline_set = ?", set)
			return receipt, errors.Join(err, failed)
		}}
		return s
	})
}

// writesAfter appends without the projections, and brings them to the head by a switch.
func writesAfter(t *testing.T, p inlineParts, _ *sql.DB) inlineParts {
	open := p.Open
	return opening(p, func(s inlineStore, _ inlineSet) inlineStore {
		plain, err := open(t.Context(), inlineSet{})
		require.NoError(t, err)
		store, flip := plain.Store.(*sqlite.Store), s.Switch
		s.Switch = func(ctx context.Context) error { return errors.Join(flip(ctx), plain.Switch(ctx)) }
		s.Store = appending{store, func(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
			receipt, err := store.Append(ctx, request)
			if err == nil {
				err = s.Switch(ctx)
			}
			return receipt, err
		}}
		return s
	})
}

func refusesNeighbours(_ *testing.T, p inlineParts, _ *sql.DB) inlineParts {
	return opening(p, func(s inlineStore, _ inlineSet) inlineStore {
		store := s.Store.(*sqlite.Store)
		var mu sync.Mutex
		var last error // of the group under way
		under := 0
		s.Store = appending{store, func(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
			mu.Lock()
			under++
			mu.Unlock()
			receipt, err := store.Append(ctx, request)
			mu.Lock()
			defer mu.Unlock()
			under--
			if _, ok := errors.AsType[*projection.InlineError](err); ok {
				last = err
			}
			if err == nil {
				err = last
			}
			if under == 0 {
				last = nil
			}
			return receipt, err
		}}
		return s
	})
}

// afterwards changes the file once a switch is made.
func afterwards(p inlineParts, db *sql.DB, statement string) inlineParts {
	return opening(p, func(s inlineStore, _ inlineSet) inlineStore {
		flip := s.Switch
		s.Switch = func(ctx context.Context) error {
			if err := flip(ctx); err != nil {
				return err
			}
			_, err := db.ExecContext(ctx, statement)
			return err
		}
		return s
	})
}

func switchesAtTheHead(_ *testing.T, p inlineParts, db *sql.DB) inlineParts {
	return opening(p, func(s inlineStore, _ inlineSet) inlineStore {
		flip := s.Switch
		s.Switch = func(ctx context.Context) error {
			_, err := db.ExecContext(ctx, `UPDATE segments SET position = (SELECT max(position) FROM events),
				anchor_id = (SELECT event_id FROM events ORDER BY position DESC LIMIT 1)`)
			return errors.Join(err, flip(ctx))
		}
		return s
	})
}

func keepsTheFence(_ *testing.T, p inlineParts, db *sql.DB) inlineParts {
	return afterwards(p, db, "UPDATE segments SET fence = fence - 1")
}

func leavesTheLease(_ *testing.T, p inlineParts, db *sql.DB) inlineParts {
	return afterwards(p, db, "UPDATE segments SET held_until = 0")
}
