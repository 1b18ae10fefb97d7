package query_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/query"
)

func TestAStaleAnswerComesAfterTheWaitAndSaysWhatItLacks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := follows("orders", at(4, here))
		bus := busOver(m)
		bus.Follow(query.NewHead(&still{token: at(4, here)}))
		began := time.Now()
		_, err := ask(t.Context(), bus, query.MaxStale(0))
		require.NoError(t, err)

		time.Sleep(time.Hour)
		asked := time.Now()
		var told, also query.Freshness
		got, err := ask(t.Context(), bus, query.After(at(3, here), at(7, here)), query.OrStale(&told), query.Tell(&also), query.Wait(2*time.Second))
		require.NoError(t, err)
		assert.EqualValues(t, 4, got)
		assert.Equal(t, 2*time.Second, time.Since(asked))
		assert.Equal(t, query.Freshness{
			Includes: []eventstore.Token{at(4, here)}, After: []eventstore.Token{at(4, here)}, Missing: []eventstore.Token{at(7, here)}, AsOf: began,
		}, told)
		assert.True(t, told.Stale())
		assert.Equal(t, told, also, "each place is told")

		time.AfterFunc(time.Second, func() { m.move(at(8, here)) })
		asked = time.Now()
		got, err = ask(t.Context(), bus, query.After(at(7, here)), query.OrStale(&told))
		require.NoError(t, err)
		assert.EqualValues(t, 8, got, "who waits gets more")
		assert.Equal(t, time.Second, time.Since(asked))
		assert.False(t, told.Stale())
	})
}

func TestAnAnswerThatCannotSayThatItIsStaleIsNoAnswer(t *testing.T) {
	t.Parallel()
	_, err := ask(t.Context(), busOver(follows("orders", at(4, here))), query.After(at(7, here)), query.OrStale(nil), query.Wait(0))
	_, late := errors.AsType[*query.NotCaughtUpError](err)
	require.True(t, late, "%v", err)
}

func TestWhatNoWaitWouldHelpIsNeverStale(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		older := eventstore.Identity{Store: here.Store, Incarnation: here.Incarnation - 1}
		told := query.Freshness{AsOf: time.Now()}
		before := told
		refused := func(m *model, token eventstore.Token, ctx context.Context) error {
			_, err := ask(ctx, busOver(m), query.After(token), query.OrStale(&told), query.Wait(time.Second))
			require.Error(t, err)
			assert.Equal(t, before, told, "a call that fails tells nothing")
			return err
		}
		require.ErrorIs(t, refused(follows("orders", at(4, here)), at(1, older), t.Context()), eventstore.ErrDiverged)
		require.ErrorIs(t, refused(follows("orders", at(4, here)), at(1, there), t.Context()), eventstore.ErrForeignToken)
		require.ErrorIs(t, refused(follows("orders"), at(1, here), t.Context()), context.DeadlineExceeded)

		building := &building{model: follows("orders", at(4, here))}
		bus := query.NewBus()
		query.Handle(bus, "q", func(ctx context.Context, _ double) (int, error) { return 1, query.Await(ctx, building) })
		_, err := query.Ask[int](t.Context(), bus, double{}, query.After(at(1, here)), query.OrStale(&told))
		require.ErrorIs(t, err, errBuilding)

		broken := follows("orders", at(4, here))
		broken.err = errors.New("no connection")
		require.ErrorIs(t, refused(broken, at(7, here), t.Context()), broken.err)

		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, refused(follows("orders", at(4, here)), at(7, here), short), context.DeadlineExceeded, "nobody waits for the answer any more")
	})
}

var errBuilding = errors.New("it is being built")

// building may not be read yet.
type building struct{ *model }

func (b *building) Look(ctx context.Context) (query.Seen, error) {
	seen, err := b.model.Look(ctx)
	seen.Late = func(over error) error { return errors.Join(errBuilding, over) }
	return seen, err
}

func TestAStaleAnswerWithinAQuestionIsForThatOneToAllow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := follows("orders", at(4, here))
		bus := busOver(m)
		var inner, outer query.Freshness
		query.Handle(bus, "lax", func(ctx context.Context, _ double) (eventstore.Position, error) {
			return ask(ctx, bus, query.After(at(6, here)), query.OrStale(&inner), query.Wait(0))
		}, query.Reads("orders"))
		query.Handle(bus, "strict", func(ctx context.Context, _ label) (eventstore.Position, error) {
			return ask(ctx, bus, query.After(at(6, here)), query.Wait(0))
		}, query.Reads("orders"))
		lax := func(options ...query.AskOption) error {
			_, err := query.Ask[eventstore.Position](t.Context(), bus, double{}, options...)
			return err
		}
		require.NoError(t, lax(query.Tell(&outer)))
		assert.Equal(t, []eventstore.Token{at(6, here)}, inner.Missing)
		assert.Empty(t, outer.Missing, "nothing was required of it")
		require.NoError(t, lax(query.After(at(4, here))))
		_, late := errors.AsType[*query.NotCaughtUpError](lax(query.After(at(5, here))))
		assert.True(t, late, "the outer question does not allow it")
		require.NoError(t, lax(query.After(at(5, here)), query.OrStale(&outer)))
		assert.Equal(t, []eventstore.Token{at(5, here)}, outer.Missing)

		_, err := query.Ask[eventstore.Position](t.Context(), bus, label{}, query.After(at(5, here)), query.OrStale(&outer))
		_, late = errors.AsType[*query.NotCaughtUpError](err)
		assert.True(t, late, "nor does the inner one")
	})
}

// slow is a model that takes its time to be read.
type slow struct {
	*model
	takes time.Duration
}

func (s slow) Look(ctx context.Context) (query.Seen, error) {
	if err := pass(ctx, s.takes); err != nil {
		return query.Seen{}, err
	}
	return s.model.Look(ctx)
}

func TestAModelThatTakesItsTimeToBeReadIsNotLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := slow{follows("orders", at(4, here)), 900 * time.Millisecond}
		var info query.Info
		bus := query.NewBus(func(next query.Handler) query.Handler {
			return func(ctx context.Context, question any) (any, error) {
				answer, err := next(ctx, question)
				info, _ = query.InfoFrom(ctx)
				return answer, err
			}
		})
		query.Handle(bus, "q", func(ctx context.Context, _ double) (int, error) { return 1, query.Await(ctx, m) }, query.Reads("orders"))
		for _, wait := range []time.Duration{-1, 0, time.Millisecond, time.Minute} {
			_, err := query.Ask[int](t.Context(), bus, double{}, query.After(at(4, here)), query.Wait(wait))
			require.NoError(t, err, wait)
			assert.Zero(t, info.Waited, "a read is no wait")
		}
		m.takes = time.Minute
		_, err := query.Ask[int](t.Context(), bus, double{})
		require.NoError(t, err, "nothing is required: only the context ends a read")
		began := time.Now()
		_, err = query.Ask[int](t.Context(), bus, double{}, query.After(at(4, here)), query.Wait(0))
		late, ok := errors.AsType[*query.NotCaughtUpError](err)
		require.True(t, ok, "%v", err)
		assert.Equal(t, eventstore.Position(4), late.Want.Position)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(began), "a node that hangs is not waited for")
	})
}

func TestReadersOfOneQueryMayWaitAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var models []*model
		for range 20 {
			models = append(models, follows("orders", at(1, here)))
		}
		bus := query.NewBus()
		query.Handle(bus, "q", func(ctx context.Context, _ double) (int, error) {
			errs := make([]error, len(models))
			var reading sync.WaitGroup
			for n, m := range models {
				reading.Go(func() { errs[n] = query.Await(ctx, m) })
			}
			reading.Wait()
			return 0, errors.Join(errs...)
		}, query.Reads("orders"))
		for n, m := range models {
			time.AfterFunc(time.Duration(n)*time.Millisecond, func() { m.move(at(eventstore.Position(7+n), here)) })
		}
		began := time.Now()
		var told query.Freshness
		_, err := query.Ask[int](t.Context(), bus, double{}, query.After(at(7, here)), query.Tell(&told))
		require.NoError(t, err)
		assert.Equal(t, 19*time.Millisecond, time.Since(began))
		assert.Equal(t, query.Freshness{Includes: []eventstore.Token{at(7, here)}, After: []eventstore.Token{at(26, here)}}, told)
	})
}
