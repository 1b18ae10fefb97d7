package query_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/query"
)

type options []query.PartOption

var errDown = errors.New("connection refused by 10.0.0.7")

// Functions of parts.

func answers[T any](value T) func(context.Context) (T, error) {
	return func(context.Context) (T, error) { return value, nil }
}

func fails(context.Context) (string, error) { return "half", errDown }

// givesUp has a time of its own, as transports have, and says so.
func givesUp(context.Context) (string, error) {
	return "", fmt.Errorf("read tcp 10.0.0.7: %w", os.ErrDeadlineExceeded)
}

func panics(context.Context) (string, error) { panic(errDown) }

func exits(context.Context) (string, error) {
	runtime.Goexit()
	return "", nil
}

// hangs heeds its context.
func hangs(ctx context.Context) (string, error) {
	<-ctx.Done()
	return "late", ctx.Err()
}

// after answers late, or not at all if its context ends before.
func after(d time.Duration, value string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		select {
		case <-time.After(d):
			return value, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// deaf does not heed its context: it answers when it is let go.
func deaf(letGo <-chan struct{}) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		<-letGo
		return "late", nil
	}
}

func TestEachPartHasItsAnswer(t *testing.T) {
	t.Parallel()
	number, text := query.Part("number", answers(7)), query.Part("text", answers("seven"))
	missing, err := query.Compose(t.Context(), number, text)
	require.NoError(t, err)
	assert.Nil(t, missing)
	n, lacks := number.Value()
	assert.Equal(t, 7, n)
	assert.Zero(t, lacks)
	s, _ := text.Value()
	assert.Equal(t, "seven", s)

	missing, err = query.Compose(t.Context())
	require.NoError(t, err)
	assert.Nil(t, missing, "nothing is missing of nothing")
}

func TestPartsRunAtTheSameTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		missing, err := query.Compose(t.Context(), query.Part("a", after(time.Second, "a")), query.Part("b", after(time.Second, "b")))
		require.NoError(t, err)
		assert.Empty(t, missing)
		assert.Equal(t, time.Second, time.Since(began))
	})
}

// With one part down, slow or erring the answer is there before the deadline, and says so.
func TestAnAnswerWithoutAnOptionalPartNamesItAndComesInTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ask    func(context.Context) (string, error) // nil: it ignores its context
		with   options
		reason query.Reason
		err    error
		took   time.Duration
	}{
		"it fails":                          {fails, options{query.Optional()}, query.ReasonError, errDown, 0},
		"it panics":                         {panics, options{query.Optional()}, query.ReasonPanic, errDown, 0},
		"it ends its goroutine":             {exits, options{query.Optional()}, query.ReasonError, nil, 0},
		"it is slow":                        {after(3*time.Second, "late"), options{query.Optional()}, query.ReasonDeadline, context.DeadlineExceeded, 1900 * time.Millisecond},
		"it gives up before":                {givesUp, options{query.Optional()}, query.ReasonDeadline, os.ErrDeadlineExceeded, 0},
		"it is slow, with a fallback":       {hangs, options{query.Fallback("old")}, query.ReasonDeadline, context.DeadlineExceeded, 1900 * time.Millisecond},
		"it is slower than it may be":       {hangs, options{query.Optional(), query.Timeout(300 * time.Millisecond)}, query.ReasonDeadline, context.DeadlineExceeded, 300 * time.Millisecond},
		"it ignores its context":            {nil, options{query.Optional()}, query.ReasonDeadline, context.DeadlineExceeded, 1950 * time.Millisecond},
		"it ignores the end of its own":     {nil, options{query.Optional(), query.Timeout(300 * time.Millisecond)}, query.ReasonDeadline, context.DeadlineExceeded, 350 * time.Millisecond},
		"it may take longer than all of it": {hangs, options{query.Optional(), query.Timeout(time.Hour)}, query.ReasonDeadline, context.DeadlineExceeded, 1900 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				letGo := make(chan struct{})
				defer close(letGo)
				if c.ask == nil {
					c.ask = deaf(letGo)
				}
				began := time.Now()
				there, lacking := query.Part("orders", after(100*time.Millisecond, "42")), query.Part("shipping", c.ask, c.with...)
				missing, err := new(query.Composer).Compose(ctx, there, lacking)
				require.NoError(t, err)
				assert.Equal(t, max(c.took, 100*time.Millisecond), time.Since(began))
				require.NoError(t, ctx.Err(), "there is time to send it")

				value, lacks := there.Value()
				assert.Equal(t, "42", value)
				assert.Zero(t, lacks)
				require.Len(t, missing, 1)
				assert.Equal(t, "shipping", missing[0].Part)
				assert.Equal(t, c.reason, missing[0].Reason)
				if c.err != nil {
					require.ErrorIs(t, missing[0].Err, c.err)
				}
				value, lacks = lacking.Value()
				assert.Equal(t, missing[0], lacks)
				assert.Equal(t, map[bool]string{true: "old"}[name == "it is slow, with a fallback"], value)
			})
		})
	}
}

func TestWhatIsMissingIsToldWithoutItsError(t *testing.T) {
	t.Parallel()
	missing, err := query.Compose(t.Context(), query.Part("shipping", fails, query.Optional()), query.Part("there", answers(1)), query.Part("advice", panics, query.Fallback("")))
	require.NoError(t, err)
	body, err := json.Marshal(missing)
	require.NoError(t, err)
	assert.JSONEq(t, `[{"part":"shipping","reason":"error"},{"part":"advice","reason":"panic"}]`, string(body))
	thrown, ok := errors.AsType[*query.PanicError](missing[1].Err)
	require.True(t, ok)
	assert.Contains(t, string(thrown.Stack), "query_test.panics")
	assert.EqualError(t, thrown, "panic: "+errDown.Error())
}

func TestARequiredPartThatFailsEndsTheComposition(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var cancelled atomic.Int32
		slow := func(ctx context.Context) (string, error) {
			<-ctx.Done()
			cancelled.Add(1)
			return "", ctx.Err()
		}
		one, two := query.Part("one", slow), query.Part("two", slow, query.Fallback("old"))
		orders := query.Part("orders", func(ctx context.Context) (string, error) {
			time.Sleep(time.Second)
			return fails(ctx)
		})
		unasked := query.Part("unasked", answers("x"))
		c := query.Composer{Parallel: 3}
		missing, err := c.Compose(t.Context(), one, two, orders, unasked)
		assert.Nil(t, missing)
		require.EqualError(t, err, `part "orders": connection refused by 10.0.0.7`)
		require.ErrorIs(t, err, errDown)
		failed, ok := errors.AsType[*query.PartError](err)
		require.True(t, ok)
		assert.Equal(t, query.Missing{Part: "orders", Reason: query.ReasonError, Err: errDown}, failed.Missing)
		assert.Equal(t, time.Second, time.Since(began), "at once")
		assert.EqualValues(t, 2, cancelled.Load(), "the others have been waited for")

		_, lacks := one.Value()
		assert.Equal(t, query.ReasonCancelled, lacks.Reason)
		require.EqualError(t, lacks.Err, `context canceled, because of part "orders": connection refused by 10.0.0.7`)
		value, lacks := two.Value()
		assert.Equal(t, "old", value)
		assert.Equal(t, query.ReasonCancelled, lacks.Reason)
		_, lacks = unasked.Value()
		assert.Equal(t, query.ReasonCancelled, lacks.Reason)
		assert.ErrorContains(t, lacks.Err, "it was not asked")
	})
}

func TestARequiredPartThatIsLateOrPanicsIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		began := time.Now()
		_, err := query.Compose(ctx, query.Part("orders", hangs))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 450*time.Millisecond, time.Since(began), "a tenth is kept back")
		_, err = query.Compose(t.Context(), query.Part("orders", panics))
		require.EqualError(t, err, `part "orders": panic: connection refused by 10.0.0.7`)
		require.ErrorIs(t, err, errDown)
		_, err = query.Compose(t.Context(), query.Part("orders", exits))
		require.EqualError(t, err, `part "orders": it ended its goroutine (runtime.Goexit)`)
	})
}

func TestACallerWhoLeavesGetsNoAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		part := query.Part("advice", hangs, query.Optional())
		_, err := query.Compose(ctx, part)
		require.ErrorIs(t, err, context.Canceled)
		_, lacks := part.Value()
		assert.Equal(t, query.ReasonCancelled, lacks.Reason)

		_, err = query.Compose(ctx, query.Part("orders", fails, query.Optional()))
		require.ErrorIs(t, err, context.Canceled, "nothing is asked of who has left")
	})
}

func TestNoMorePartsRunAtATimeThanMay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ parallel, most int }{{3, 3}, {0, 16}, {-1, 16}} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			var now, most atomic.Int32
			var parts []query.Composable
			for n := range 40 {
				parts = append(parts, query.Part(string(rune('A'+n)), func(ctx context.Context) (string, error) {
					most.Store(max(most.Load(), now.Add(1)))
					defer now.Add(-1)
					return after(time.Second, "x")(ctx)
				}))
			}
			composer := query.Composer{Parallel: c.parallel}
			missing, err := composer.Compose(t.Context(), parts...)
			require.NoError(t, err)
			assert.Empty(t, missing)
			assert.EqualValues(t, c.most, most.Load())
			assert.Equal(t, time.Duration((40+c.most-1)/c.most)*time.Second, time.Since(began))
		})
	}
}

func TestAPartHasItsTurnWhenAnotherHasAnswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		c := query.Composer{Parallel: 2}
		_, err := c.Compose(t.Context(), query.Part("long", after(3*time.Second, "x")), query.Part("short", after(time.Second, "x")), query.Part("waits", after(time.Second, "x")))
		require.NoError(t, err)
		assert.Equal(t, 3*time.Second, time.Since(began))
	})
}

func TestMistakesWithPartsAreFoundAtOnce(t *testing.T) {
	t.Parallel()
	ask := answers(1)
	used := query.Part("used", ask)
	_, err := query.Compose(t.Context(), used)
	require.NoError(t, err)
	for says, mistake := range map[string]func(){
		`query: part "a" has no value: hand it to Compose and wait until that returns`:  func() { query.Part("a", ask).Value() },
		`query.Compose: part "used" has been composed before; make a new one each time`: func() { query.Compose(t.Context(), used) },
		`query.Compose: two parts have the name "a"`:                                    func() { query.Compose(t.Context(), query.Part("a", ask), query.Part("a", ask)) },
		`query.Compose: part 2 is nil`:                                                  func() { query.Compose(t.Context(), query.Part("a", ask), nil) },
		`query.Part: "a": its fallback is a string, not a int`:                          func() { query.Part("a", ask, query.Fallback("1")) },
		`query.Part: "a": its fallback is a <nil>, not a int`:                           func() { query.Part("a", ask, query.Fallback(nil)) },
		`query.Part: "": a part has a name and a function`:                              func() { query.Part("", ask) },
		`query.Part: "a": a part has a name and a function`:                             func() { query.Part[int]("a", nil) },
	} {
		assert.PanicsWithValue(t, says, mistake)
	}
	none := query.Part("a", func(context.Context) (any, error) { return 1, errDown }, query.Fallback(nil))
	_, err = query.Compose(t.Context(), none)
	require.NoError(t, err)
	value, _ := none.Value()
	assert.Nil(t, value, "nil is a value of an interface")
}
