package query_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/query"
)

// What ignores its context cannot be ended, so it must not pile up, nor be in the way of others.
func TestPartsThatIgnoreTheirContextDoNotPileUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		composer, letGo := query.Composer{Strays: 2}, make(chan struct{})
		compose := func() (query.Reason, query.Reason, time.Duration) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			deaf, other := query.Part("deaf", deaf(letGo), query.Optional()), query.Part("other", answers("x"), query.Optional())
			_, err := composer.Compose(ctx, deaf, other)
			require.NoError(t, err)
			_, d := deaf.Value()
			_, o := other.Value()
			return d.Reason, o.Reason, time.Since(began)
		}
		for range 2 {
			d, o, took := compose()
			assert.Equal(t, query.ReasonDeadline, d)
			assert.Zero(t, o)
			assert.Equal(t, 950*time.Millisecond, took)
		}
		for range 2 {
			d, o, took := compose()
			assert.Equal(t, query.ReasonBusy, d, "it is not asked again")
			assert.Zero(t, o, "others are")
			assert.Zero(t, took)
		}
		close(letGo)
		synctest.Wait()
		d, o, _ := compose()
		assert.Zero(t, d, "the strays have ended")
		assert.Zero(t, o)
	})
}

func TestTheAnswerOfAStrayIsDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		letGo := make(chan struct{})
		part := query.Part("deaf", deaf(letGo), query.Timeout(time.Second), query.Fallback("old"))
		missing, err := query.Compose(t.Context(), part)
		require.NoError(t, err)
		close(letGo)
		synctest.Wait()
		value, lacks := part.Value()
		assert.Equal(t, "old", value)
		assert.Equal(t, []query.Missing{lacks}, missing)
		require.EqualError(t, lacks.Err, "context deadline exceeded, and it goes on all the same; let it end with its context")
	})
}

func TestARequiredPartThatIgnoresItsContextIsAnErrorInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		letGo := make(chan struct{})
		defer close(letGo)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := query.Compose(ctx, query.Part("orders", answers(1)), query.Part("deaf", deaf(letGo)))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, `part "deaf"`)
		require.NoError(t, ctx.Err())

		began := time.Now()
		_, err = query.Compose(t.Context(), query.Part("orders", fails), query.Part("deaf", deaf(letGo)))
		require.ErrorIs(t, err, errDown)
		assert.Equal(t, 50*time.Millisecond, time.Since(began), "a failure does not wait for what ignores it")
	})
}

// Parts settle at the very moment at which they are left behind.
func TestAPartIsEitherThereOrMissing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var composer query.Composer
		outcomes := map[bool]int{}
		for range 500 {
			var parts []query.Composable
			for n := range 8 {
				parts = append(parts, query.Part(fmt.Sprint(n), func(context.Context) (string, error) {
					time.Sleep(350 * time.Millisecond)
					return "there", nil
				}, query.Timeout(300*time.Millisecond), query.Fallback("missing")))
			}
			_, err := composer.Compose(t.Context(), parts...)
			require.NoError(t, err)
			for _, p := range parts {
				value, lacks := p.(*query.PartOf[string]).Value()
				require.Equal(t, value == "missing", lacks.Part != "")
				outcomes[lacks.Part != ""]++
			}
		}
		t.Logf("there %d, missing %d", outcomes[false], outcomes[true])
	})
}
