package query_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/query"
)

func TestWithoutATokenNobodyWaits(t *testing.T) {
	m := follows("orders", at(3, here))
	for name, options := range map[string][]query.AskOption{
		"no option":      nil,
		"zero tokens":    {query.After(eventstore.Token{}, eventstore.Token{})},
		"applied before": {query.After(at(3, here), at(1, here))},
	} {
		got, err := ask(t.Context(), busOver(m), options...)
		require.NoError(t, err, name)
		assert.Equal(t, eventstore.Position(3), got, name)
	}
	require.NoError(t, query.Await(t.Context(), m), "a reader outside of Ask does not wait")
}

// checkFresh lets the model reach the token after 3 s and reports an answer that does
// not include it. How the reader waits is for the caller to say.
func checkFresh(t *testing.T, m *model, read func(ctx context.Context, m *model) (eventstore.Position, error)) (took time.Duration, err error) {
	synctest.Test(t, func(t *testing.T) {
		bus := query.NewBus()
		query.Handle(bus, "how_far", func(ctx context.Context, _ howFar) (eventstore.Position, error) { return read(ctx, m) }, query.Reads("orders"))
		began := time.Now()
		for step := range 3 {
			time.AfterFunc(time.Duration(step+1)*time.Second, func() { m.move(at(eventstore.Position(5+step), here)) })
		}
		var got eventstore.Position
		got, err = ask(t.Context(), bus, query.After(at(7, here)))
		if err == nil && got < 7 {
			err = fmt.Errorf("stale: the answer is of position %d", got)
		}
		took = time.Since(began)
		time.Sleep(4 * time.Second) // the projection finishes, in the bubble's time
	})
	return took, err
}

func TestAnAnswerWaitsForItsToken(t *testing.T) {
	reader := func(ctx context.Context, m *model) (eventstore.Position, error) { return m.read(ctx, here.Store) }
	t.Run("woken by a change", func(t *testing.T) {
		took, err := checkFresh(t, follows("orders", at(4, here)), reader)
		require.NoError(t, err)
		assert.Equal(t, 3*time.Second, took, "at the moment of the change")
	})
	t.Run("by looking again", func(t *testing.T) {
		m := follows("orders", at(4, here))
		m.deaf = true
		took, err := checkFresh(t, m, reader)
		require.NoError(t, err)
		assert.InDelta(t, 3.0, took.Seconds(), 0.021)
		assert.Less(t, m.looks, 3000/20+10, "the pauses grow to 20 ms")
	})
	t.Run("moved by another process, which wakes nobody here", func(t *testing.T) {
		m := silent{follows("orders", at(4, here))}
		took, err := checkFresh(t, m.model, func(ctx context.Context, _ *model) (eventstore.Position, error) {
			if err := query.Await(ctx, m); err != nil {
				return 0, err
			}
			return m.now(here.Store), nil
		})
		require.NoError(t, err)
		assert.InDelta(t, 3.0, took.Seconds(), 0.021)
	})
	t.Run("a model that has not started", func(t *testing.T) {
		_, err := checkFresh(t, follows("orders"), reader)
		require.NoError(t, err)
		_, err = checkFresh(t, follows("orders", at(0, here)), reader)
		require.NoError(t, err, "nor applied anything")
	})
	t.Run("a model that has not seen the store's new life yet", func(t *testing.T) {
		_, err := checkFresh(t, follows("orders", at(9, eventstore.Identity{Store: here.Store, Incarnation: here.Incarnation - 1})), reader)
		require.NoError(t, err)
	})
}

// silent has a channel that nobody closes.
type silent struct{ *model }

func (silent) Changed() <-chan struct{} { return make(chan struct{}) }

func TestAReaderThatIgnoresTheTokenIsCaught(t *testing.T) {
	for name, read := range map[string]func(ctx context.Context, m *model) (eventstore.Position, error){
		"it does not wait": func(_ context.Context, m *model) (eventstore.Position, error) { return m.now(here.Store), nil },
		"it drops the context": func(ctx context.Context, m *model) (eventstore.Position, error) {
			return m.read(context.WithoutCancel(context.Background()), here.Store)
		},
		"it reads first": func(ctx context.Context, m *model) (eventstore.Position, error) {
			return m.now(here.Store), query.Await(ctx, m)
		},
		"it waits on another": func(ctx context.Context, m *model) (eventstore.Position, error) {
			return m.now(here.Store), query.Await(ctx, follows("customers", at(9, here)))
		},
		"it drops Await's error": func(ctx context.Context, m *model) (eventstore.Position, error) {
			_ = query.Await(ctx, failing{m})
			return m.now(here.Store), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := checkFresh(t, follows("orders", at(4, here)), read)
			require.Error(t, err, "the mutant survived")
			t.Logf("caught: %v", err)
		})
	}
}

type failing struct{ *model }

func (failing) Look(context.Context) (query.Seen, error) {
	return query.Seen{}, errors.New("no connection")
}

func TestAModelThatIsLateIsAnErrorAndNeverStaleData(t *testing.T) {
	for name, c := range map[string]struct {
		options []query.AskOption
		caller  time.Duration // the caller's deadline
		took    time.Duration
		matches error
	}{
		"after 5 s":                        {nil, time.Hour, 5 * time.Second, context.DeadlineExceeded},
		"after Wait":                       {[]query.AskOption{query.Wait(70 * time.Millisecond)}, time.Hour, 70 * time.Millisecond, context.DeadlineExceeded},
		"at once":                          {[]query.AskOption{query.Wait(0)}, time.Hour, 0, context.DeadlineExceeded},
		"at the caller's earlier deadline": {nil, 2 * time.Second, 2 * time.Second, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.caller)
				defer cancel()
				began := time.Now()
				_, err := ask(ctx, busOver(follows("orders", at(4, here))), append(c.options, query.After(at(7, here)))...)
				assert.Equal(t, c.took, time.Since(began))
				require.ErrorIs(t, err, c.matches)
				late, ok := errors.AsType[*query.NotCaughtUpError](err)
				require.True(t, ok)
				assert.Equal(t, &query.NotCaughtUpError{Model: "orders", At: 4, Want: at(7, here), Err: context.DeadlineExceeded}, late)
				assert.EqualError(t, err, "query how_far: orders has applied position 4 and not yet 7: context deadline exceeded; is its projection running?")
			})
		})
	}
}

func TestACallerWhoLeavesEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := ask(ctx, busOver(follows("orders", at(4, here))), query.After(at(7, here)))
		require.ErrorIs(t, err, context.Canceled)
		late, ok := errors.AsType[*query.NotCaughtUpError](err)
		require.True(t, ok)
		assert.Equal(t, eventstore.Position(4), late.At, "what was last seen is not forgotten")
	})
}

func TestATokenThatNobodyCanHonourIsAnError(t *testing.T) {
	m := follows("orders", at(9, here))
	older := eventstore.Identity{Store: here.Store, Incarnation: here.Incarnation - 1}

	_, err := ask(t.Context(), busOver(m), query.After(at(1, there)))
	require.ErrorIs(t, err, eventstore.ErrForeignToken)
	assert.ErrorContains(t, err, there.Store.String())

	_, err = ask(t.Context(), busOver(m), query.After(at(1, older)))
	require.ErrorIs(t, err, eventstore.ErrDiverged)
	assert.ErrorContains(t, err, "orders")

	_, err = ask(t.Context(), busOver(m), query.After(at(1, here), at(1, there)))
	require.ErrorIs(t, err, eventstore.ErrForeignToken, "every token counts")

	m.err = errors.New("no connection")
	_, err = ask(t.Context(), busOver(m), query.After(at(1, here)))
	require.ErrorIs(t, err, m.err)
}

func TestSeveralTokensOfSeveralStoresAreMetByTheirReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		orders, stock := follows("orders", at(1, here)), follows("stock", at(1, there))
		bus := query.NewBus()
		query.Handle(bus, "both", func(ctx context.Context, _ howFar) ([2]eventstore.Position, error) {
			a, err := orders.read(ctx, here.Store)
			b, err2 := stock.read(ctx, there.Store)
			return [2]eventstore.Position{a, b}, errors.Join(err, err2)
		}, query.Reads("orders", "stock"))
		time.AfterFunc(time.Second, func() { orders.move(at(5, here)) })
		time.AfterFunc(2*time.Second, func() { stock.move(at(6, there)) })

		got, err := query.Ask[[2]eventstore.Position](t.Context(), bus, howFar{}, query.After(at(5, here)), query.After(at(6, there)))
		require.NoError(t, err)
		assert.Equal(t, [2]eventstore.Position{5, 6}, got)
	})
}

func TestAQuestionWithinAQuestionIsAsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := follows("orders", at(1, here))
		bus := busOver(m)
		query.Handle(bus, "outer", func(ctx context.Context, _ string) (eventstore.Position, error) { return ask(ctx, bus) }, query.Reads("orders"))
		time.AfterFunc(time.Second, func() { m.move(at(5, here)) })

		got, err := query.Ask[eventstore.Position](t.Context(), bus, "?", query.After(at(5, here)))
		require.NoError(t, err)
		assert.Equal(t, eventstore.Position(5), got)
	})
}
