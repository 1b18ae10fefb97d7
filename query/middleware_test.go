package query_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/query"
)

func TestMiddlewareWrapsEveryQueryOutermostFirst(t *testing.T) {
	t.Parallel()
	var calls []string
	note := func(who string) query.Middleware {
		return func(next query.Handler) query.Handler {
			return func(ctx context.Context, question any) (any, error) {
				info, _ := query.InfoFrom(ctx)
				calls = append(calls, who+" "+info.Name)
				answer, err := next(ctx, question)
				if n, ok := answer.(int); ok {
					answer = n + 1
				}
				return answer, err
			}
		}
	}
	bus := query.NewBus(note("outer"), note("inner"))
	query.Handle(bus, "double", func(_ context.Context, q double) (int, error) {
		if q.N < 0 {
			return 0, errors.New("negative")
		}
		return 2 * q.N, nil
	})
	got, err := query.Ask[int](t.Context(), bus, double{21})
	require.NoError(t, err)
	assert.Equal(t, 44, got)
	assert.Equal(t, []string{"outer double", "inner double"}, calls)

	_, err = query.Ask[int](t.Context(), bus, double{-1})
	require.EqualError(t, err, "query double: negative")
}

func TestMiddlewareIsToldHowLongReadersWaited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var info query.Info
		var failed error
		bus := query.NewBus(func(next query.Handler) query.Handler {
			return func(ctx context.Context, question any) (any, error) {
				answer, err := next(ctx, question)
				info, _ = query.InfoFrom(ctx)
				failed = err
				return answer, err
			}
		})
		m := follows("orders", at(1, here))
		query.Handle(bus, "how_far", func(ctx context.Context, q howFar) (eventstore.Position, error) {
			return m.read(ctx, q.Store)
		}, query.Reads("orders", "stock"))
		go func() {
			time.Sleep(3 * time.Second)
			m.move(at(2, here))
		}()
		_, err := ask(t.Context(), bus, query.After(at(2, here)))
		require.ErrorContains(t, err, `opened no reader of it`)
		require.ErrorContains(t, failed, "opened no reader of it", "an answer that is not fresh is a failure to middleware too")
		assert.Equal(t, query.Info{Name: "how_far", Waited: 3 * time.Second, Freshness: query.Freshness{
			Includes: []eventstore.Token{at(2, here)}, After: []eventstore.Token{at(2, here)},
		}}, info)
	})
	_, ok := query.InfoFrom(t.Context())
	assert.False(t, ok)
}

func TestMiddlewareThatReplacesTypesIsAnError(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		question, answer any
		text             string
	}{
		{7, nil, "query double: middleware replaced the query_test.double by a int"},
		{nil, "four", "query double: middleware replaced its int by a string"},
		{double{2}, nil, "query double: middleware replaced its int by a <nil>"},
	} {
		bus := query.NewBus(func(next query.Handler) query.Handler {
			return func(ctx context.Context, _ any) (any, error) {
				if c.answer != nil {
					return c.answer, nil
				}
				_, err := next(ctx, c.question)
				return nil, err
			}
		})
		query.Handle(bus, "double", func(_ context.Context, q double) (int, error) { return 2 * q.N, nil })
		_, err := query.Ask[int](t.Context(), bus, double{2})
		require.EqualError(t, err, c.text)
	}
}

// A cache, or a middleware with an answer for bad times, does not know what After requires.
func TestMiddlewareCannotAnswerInTheHandlersPlaceAfterAToken(t *testing.T) {
	t.Parallel()
	cached := false
	bus := query.NewBus(func(next query.Handler) query.Handler {
		return func(ctx context.Context, question any) (any, error) {
			if cached {
				return eventstore.Position(1), nil
			}
			return next(ctx, question)
		}
	})
	m := follows("orders", at(2, here))
	query.Handle(bus, "how_far", func(ctx context.Context, q howFar) (eventstore.Position, error) {
		return m.read(ctx, q.Store)
	}, query.Reads("orders"))
	got, err := ask(t.Context(), bus, query.After(at(2, here)))
	require.NoError(t, err)
	assert.EqualValues(t, 2, got)
	cached = true
	_, err = ask(t.Context(), bus, query.After(at(2, here)))
	require.EqualError(t, err, "query how_far: middleware answered in the place of the handler: whether that includes what After requires is not known")
	got, err = ask(t.Context(), bus)
	require.NoError(t, err)
	assert.EqualValues(t, 1, got, "nothing is required")
}
