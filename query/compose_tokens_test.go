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

// page is composed of two read models, each of a store of its own.
type page struct {
	Orders, Stock eventstore.Position
	Missing       []query.Missing
}

type getPage struct{}

// composing answers getPage from the two; with has what is said about stock.
func composing(orders, stock *model, with ...query.PartOption) *query.Bus {
	bus := query.NewBus()
	query.Handle(bus, "page", func(ctx context.Context, _ getPage) (p page, err error) {
		o := query.Part("orders", func(ctx context.Context) (eventstore.Position, error) { return orders.read(ctx, here.Store) })
		s := query.Part("stock", func(ctx context.Context) (eventstore.Position, error) { return stock.read(ctx, there.Store) }, with...)
		p.Missing, err = query.Compose(ctx, o, s)
		p.Orders, _ = o.Value()
		p.Stock, _ = s.Value()
		return p, err
	}, query.Reads("orders", "stock"))
	return bus
}

func TestPartsIncludeWhatIsRequiredOfTheirStores(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders, stock := follows("orders", at(4, here)), follows("stock", at(1, there))
		time.AfterFunc(time.Second, func() { orders.move(at(7, here)) })
		time.AfterFunc(2*time.Second, func() { stock.move(at(2, there)) })
		var told query.Freshness
		got, err := query.Ask[page](t.Context(), composing(orders, stock), getPage{}, query.After(at(7, here), at(2, there)), query.Tell(&told))
		require.NoError(t, err)
		assert.Equal(t, page{7, 2, nil}, got)
		assert.Equal(t, []eventstore.Token{at(7, here), at(2, there)}, told.Includes)
		assert.False(t, told.Stale())

		nowhere := eventstore.Identity{Store: eventstore.StoreID{3}, Incarnation: 1}
		_, err = query.Ask[page](t.Context(), composing(orders, stock, query.Optional()), getPage{}, query.After(at(1, nowhere)))
		require.ErrorIs(t, err, eventstore.ErrForeignToken, "nothing is missing, so nothing is excused")
	})
}

// The token may have been for the part that is missing. The answer says what it lacks.
func TestATokenOfAMissingPartDoesNotFailTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		for name, c := range map[string]struct {
			stock  *model
			with   query.PartOption
			reason query.Reason
			value  eventstore.Position
		}{
			"it is down":                        {&model{name: "stock", err: errDown}, query.Optional(), query.ReasonError, 0},
			"it does not get there in time":     {follows("stock", at(1, there)), query.Timeout(time.Second), query.ReasonDeadline, 0},
			"it is down, and has a fallback":    {&model{name: "stock", err: errDown}, query.Fallback(eventstore.Position(1)), query.ReasonError, 1},
			"it is late for the whole answer":   {follows("stock", at(1, there)), query.Optional(), query.ReasonDeadline, 0},
			"it follows another life: an error": {follows("stock", at(9, eventstore.Identity{Store: there.Store, Incarnation: 5})), query.Optional(), query.ReasonError, 0},
		} {
			ctx, cancel := context.WithTimeout(ctx, 400*time.Millisecond)
			var told query.Freshness
			got, err := query.Ask[page](ctx, composing(follows("orders", at(7, here)), c.stock, query.Optional(), c.with), getPage{},
				query.After(at(7, here), at(2, there)), query.Tell(&told))
			require.NoError(t, err, name)
			require.NoError(t, ctx.Err(), "it is in time")
			cancel()
			assert.EqualValues(t, 7, got.Orders, name)
			assert.Equal(t, c.value, got.Stock, name)
			require.Len(t, got.Missing, 1, name)
			assert.Equal(t, c.reason, got.Missing[0].Reason, name)
			assert.Equal(t, []eventstore.Token{at(7, here)}, told.Includes, name)
		}
	})
}

// What a missing part has read before it failed is not in the answer.
func TestWhatAMissingPartHasReadDoesNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stock := follows("stock", at(1, there))
		time.AfterFunc(time.Second, func() { stock.move(at(2, there)) })
		var waited time.Duration
		bus := query.NewBus()
		query.Handle(bus, "page", func(ctx context.Context, q getPage) (p page, err error) {
			p.Missing, err = query.Compose(ctx, query.Part("stock", func(ctx context.Context) (eventstore.Position, error) {
				_, err := stock.read(ctx, there.Store)
				return 0, errors.Join(err, errDown)
			}, query.Optional()))
			info, _ := query.InfoFrom(ctx)
			waited = info.Waited
			return p, err
		})
		var told query.Freshness
		got, err := query.Ask[page](t.Context(), bus, getPage{}, query.After(at(2, there)), query.Tell(&told))
		require.NoError(t, err)
		assert.Len(t, got.Missing, 1)
		assert.Empty(t, told.Includes)
		assert.Equal(t, time.Second, waited, "it has been waited for all the same")
	})
}

func TestARequiredPartThatLacksATokenFailsTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := composing(follows("orders", at(7, here)), follows("stock", at(1, there)))
		_, err := query.Ask[page](t.Context(), bus, getPage{}, query.After(at(2, there)), query.Wait(time.Second))
		require.EqualError(t, err, `query page: part "stock": stock has applied position 1 and not yet 2: context deadline exceeded; is its projection running?`)

		hides := query.NewBus()
		query.Handle(hides, "page", func(ctx context.Context, q getPage) (page, error) {
			_, _ = query.Compose(ctx, query.Part("stock", fails))
			return page{}, nil
		})
		_, err = query.Ask[page](t.Context(), hides, getPage{}, query.After(at(2, there)))
		require.ErrorIs(t, err, eventstore.ErrForeignToken, "a composition that failed excuses nothing")
	})
}

// Inner questions have requirements of their own, within that of the outer one.
func TestAPartThatIsMissingInAnInnerAnswerIsExcusedInTheOuterOne(t *testing.T) {
	t.Parallel()
	inner := composing(follows("orders", at(7, here)), &model{name: "stock", err: errDown}, query.Optional())
	outer := query.NewBus()
	query.Handle(outer, "outer", func(ctx context.Context, q getPage) (page, error) { return query.Ask[page](ctx, inner, q) }, query.Reads("orders", "stock"))
	got, err := query.Ask[page](t.Context(), outer, getPage{}, query.After(at(7, here), at(2, there)))
	require.NoError(t, err)
	assert.Len(t, got.Missing, 1)
}

func TestASharedAnswerCountsForEachOfItsCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var shared query.Collapse[string, eventstore.Position]
		orders, bus := follows("orders", at(4, here)), query.NewBus()
		query.Handle(bus, "how_far", func(ctx context.Context, q howFar) (eventstore.Position, error) {
			return shared.Do(ctx, "orders", func(ctx context.Context) (eventstore.Position, error) { return orders.read(ctx, q.Store) })
		}, query.Reads("orders"))
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() {
				var told query.Freshness
				got, err := ask(t.Context(), bus, query.After(at(7, here)), query.Tell(&told))
				assert.NoError(t, err)
				assert.EqualValues(t, 7, got)
				assert.Equal(t, []eventstore.Token{at(7, here)}, told.Includes)
			})
		}
		synctest.Wait()
		assert.Equal(t, 1, orders.looks, "one asks for all")
		orders.move(at(7, here))
		asking.Wait()
	})
}
