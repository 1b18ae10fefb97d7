package query_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/query"
)

// asked is what the callers of a Collapse got.
type asked struct {
	query.Collapse[string, string]
	calls atomic.Int32
}

// slowly answers after a second with the number of the call.
func (a *asked) slowly(ctx context.Context) (string, error) {
	n := a.calls.Add(1)
	return after(time.Second, fmt.Sprint(n))(ctx)
}

func TestCallersWhoAskTheSameAtOneTimeShareAnAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a asked
		var answers [8]string
		var asking sync.WaitGroup
		for n := range answers {
			asking.Go(func() { answers[n], _ = a.Do(t.Context(), "a", a.slowly) })
		}
		other, err := a.Do(t.Context(), "b", func(context.Context) (string, error) { return "of b", nil })
		require.NoError(t, err)
		assert.Equal(t, "of b", other, "another question does not wait")
		asking.Wait()
		assert.Equal(t, [8]string{"1", "1", "1", "1", "1", "1", "1", "1"}, answers)

		again, err := a.Do(t.Context(), "a", a.slowly)
		require.NoError(t, err)
		assert.Equal(t, "2", again, "nothing is remembered")
	})
}

func TestEveryCallerIsToldOfAnErrorOrPanic(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ask  func(context.Context) (string, error)
		text string
	}{
		"error": {fails, errDown.Error()},
		"panic": {panics, "panic: " + errDown.Error()},
		"exit":  {exits, "it ended its goroutine (runtime.Goexit)"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var a asked
			var asking sync.WaitGroup
			for range 3 {
				asking.Go(func() {
					_, err := a.Do(t.Context(), "a", func(ctx context.Context) (string, error) {
						time.Sleep(time.Second)
						return c.ask(ctx)
					})
					assert.EqualError(t, err, c.text, name)
				})
			}
			asking.Wait()
			_, err := a.Do(t.Context(), "a", answers("fine"))
			require.NoError(t, err, "and the next may ask again")
		})
	}
}

func TestACallerWhoLeavesTakesNothingFromTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a asked
		first, leave := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer leave()
		var asking sync.WaitGroup
		asking.Go(func() {
			began := time.Now()
			_, err := a.Do(first, "a", a.slowly)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Equal(t, 300*time.Millisecond, time.Since(began))
		})
		synctest.Wait()
		got, err := a.Do(t.Context(), "a", a.slowly)
		require.NoError(t, err)
		assert.Equal(t, "1", got, "the call that was begun by who has left")
		asking.Wait()

		_, err = a.Do(first, "a", a.slowly)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.EqualValues(t, 1, a.calls.Load(), "who has left before does not ask")
	})
}

func TestTheLastCallerWhoLeavesEndsTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a asked
		ctx, leave := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		var asking sync.WaitGroup
		for range 2 {
			asking.Go(func() {
				_, _ = a.Do(ctx, "a", func(ctx context.Context) (string, error) {
					_, err := hangs(ctx)
					ended <- err
					return "", err
				})
			})
		}
		synctest.Wait()
		leave()
		require.ErrorIs(t, <-ended, context.Canceled)
		asking.Wait()
		got, err := a.Do(t.Context(), "a", answers("new"))
		require.NoError(t, err)
		assert.Equal(t, "new", got)
	})
}

func TestACallThatIgnoresThatAllHaveLeftIsNotDoubled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var a asked
		letGo := make(chan struct{})
		var calls atomic.Int32
		ask := func(ctx context.Context) (string, error) {
			calls.Add(1)
			return deaf(letGo)(ctx)
		}
		for range 3 {
			ctx, leave := context.WithTimeout(t.Context(), time.Second)
			_, err := a.Do(ctx, "a", ask)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			leave()
		}
		assert.EqualValues(t, 1, calls.Load(), "there is one at a time")
		time.AfterFunc(time.Second, func() { close(letGo) })
		_, err := a.Do(t.Context(), "a", func(context.Context) (string, error) { return "", errDown })
		require.ErrorIs(t, err, errDown, "a new call, not the answer to those who have left")
	})
}

// collapsing is what shares calls: a Collapse, or a mutant of it.
type collapsing func(ctx context.Context, key string, ask func(context.Context) (eventstore.Position, error)) (eventstore.Position, error)

// checkSharedAnswersAreFresh has a caller who requires nothing ask first, of a read model that is behind,
// and then one who requires what he has written.
func checkSharedAnswersAreFresh(t *testing.T, do collapsing) (err error) {
	synctest.Test(t, func(t *testing.T) {
		m := follows("orders", at(4, here))
		bus := query.NewBus()
		query.Handle(bus, "how_far", func(ctx context.Context, q howFar) (eventstore.Position, error) {
			return do(ctx, "orders", func(ctx context.Context) (eventstore.Position, error) {
				got, err := m.read(ctx, q.Store)
				time.Sleep(time.Second) // the answer is on its way
				return got, err
			})
		})
		var asking sync.WaitGroup
		asking.Go(func() {
			got, err := ask(t.Context(), bus)
			assert.NoError(t, err)
			assert.EqualValues(t, 4, got)
		})
		synctest.Wait()
		m.move(at(7, here))
		var failures [2]error
		for n := range failures {
			asking.Go(func() {
				got, failed := ask(t.Context(), bus, query.After(at(7, here)))
				if failed == nil && got < 7 {
					failed = fmt.Errorf("stale: the answer is of position %d", got)
				}
				failures[n] = failed
			})
			synctest.Wait()
		}
		asking.Wait()
		err = errors.Join(failures[:]...)
	})
	return err
}

func TestWhoRequiresMoreDoesNotGetAnAnswerBegunForLess(t *testing.T) {
	t.Parallel()
	var shared query.Collapse[string, eventstore.Position]
	require.NoError(t, checkSharedAnswersAreFresh(t, shared.Do))
}

// The twin shares whatever has the same key, as singleflight does, and takes what is required for
// granted.
func TestPlantedBugACollapseThatIgnoresTokensIsFound(t *testing.T) {
	t.Parallel()
	var shared query.Collapse[string, eventstore.Position]
	err := checkSharedAnswersAreFresh(t, func(ctx context.Context, key string, ask func(context.Context) (eventstore.Position, error)) (eventstore.Position, error) {
		got, err := shared.Do(context.Background(), key, ask)
		return got, errors.Join(err, query.Await(ctx, follows("orders", at(7, here))))
	})
	require.ErrorContains(t, err, "stale: the answer is of position 4", "the mutant survived")
}
