package saga

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Those of one append are done at the same time, and nothing before they are done.
func TestOnlyRequestsOfOneAppendAreDoneSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var begun []string
		release := make(chan struct{})
		waits := func(name string, beside bool) task {
			return task{key: name, beside: beside, do: func(context.Context) error {
				release <- struct{}{}
				return nil
			}}
		}
		notes := func(name string) task {
			return task{key: name, do: func(context.Context) error { begun = append(begun, name); return nil }}
		}
		ended := make(chan error, 1)
		go func() {
			_, err := inOrder(t.Context(), []task{waits("a", true), waits("b", true), notes("undo a"), notes("undo b")})
			ended <- err
		}()
		<-release
		synctest.Wait()
		assert.Empty(t, begun, "one of the two is not done")
		<-release
		require.NoError(t, <-ended)
		assert.Equal(t, []string{"undo a", "undo b"}, begun)
	})
}

func TestNothingOfAnInstanceIsDoneBehindWhatFails(t *testing.T) {
	t.Parallel()
	errAway := errors.New("away")
	fails := func(key string, err error) task {
		return task{key: key, beside: true, do: func(context.Context) error { return err }}
	}
	poisoned := func(key string) task { return fails(key, &poison{errors.New("poisoned " + key)}) }
	never := task{do: func(context.Context) error { t.Error("it was done"); return nil }}

	failed, err := inOrder(t.Context(), []task{fails("a", nil), poisoned("b"), poisoned("c"), never})
	require.ErrorContains(t, err, "poisoned b")
	assert.Equal(t, "b", failed.key, "it is parked at the first")
	assert.True(t, isPoison(err))

	_, err = inOrder(t.Context(), []task{poisoned("a"), fails("b", errAway), never})
	require.ErrorIs(t, err, errAway, "what passes is tried again before anything is parked")
}
