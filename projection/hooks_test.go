package projection_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

func TestTheWindowHookSurroundsEachTryAndItsContextReachesTheHandler(t *testing.T) {
	t.Parallel()
	type key struct{}
	store, sink := memory.NewStore(), memory.NewSink()
	appendTo(t, store, "a", paid{Cents: 1}, paid{Cents: 2})
	tries, refused := 0, errors.New("not yet")
	seen := make(chan any, 10)
	handler := projection.NewHandler("noted", projection.HandlerOptions{Version: 1}, func(ctx context.Context, _ *memory.Tx, e eventstore.Recorded) error {
		if tries++; tries == 1 {
			return refused
		}
		seen <- ctx.Value(key{})
		return nil
	})
	outcomes := make(chan error, 10)
	w := worker(t, store, projection.On(sink, handler))
	w.Hooks.Window = func(ctx context.Context, of projection.Generation, window subscription.Window) (context.Context, func(error)) {
		assert.Equal(t, projection.Generation{Name: "noted", Version: 1}, of)
		assert.Len(t, window.Events, 2)
		assert.Equal(t, subscription.Whole, window.From.Segment)
		return context.WithValue(ctx, key{}, window.To.Position()), func(err error) { outcomes <- err }
	}
	working(t, w)
	require.ErrorIs(t, <-outcomes, refused)
	require.NoError(t, <-outcomes)
	require.Equal(t, eventstore.Position(2), <-seen)
	require.Equal(t, eventstore.Position(2), <-seen)
}
