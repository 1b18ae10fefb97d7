package shop_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/books"
	"github.com/leftfold/leftfold/examples/shop/services/feed"
	"github.com/leftfold/leftfold/examples/shop/services/inventory"
)

// Nobody has anything left to do, and it does not add up: that will not change, so nobody waits for it.
func TestTortureBooksThatDoNotAddUpAreAFailure(t *testing.T) {
	t.Parallel()
	r := start(t, ways["a saga directs"](t))
	r.places(t, four(), feed.Options{Stock: 10})
	sent, err := api.Events.Encode(api.Sent{})
	require.NoError(t, err)
	_, err = r.books["shipping"].Store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "shipment-many", Events: []eventstore.EventData{sent}}}})
	require.NoError(t, err)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	_, err = books.Wait(ctx, r.books)
	require.ErrorContains(t, err, "order many is cancelled, and nobody refused it, or it was sent")
	require.NotErrorIs(t, err, context.DeadlineExceeded)
}

// One of the largest orders that are taken: every service hears of it.
func TestTortureALargeOrderEnds(t *testing.T) {
	t.Parallel()
	large := api.Order{ID: "large", Country: "Spain"}
	for n := range 2_000 {
		large.Lines = append(large.Lines, api.Line{Item: fmt.Sprintf("<<<<<<<<<< %d", n%3), Quantity: 1, Pence: 1})
	}
	require.NoError(t, api.Place(large).Validate())
	for _, way := range []string{"a saga directs", "nobody directs"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			r := start(t, ways[way](t))
			report := r.places(t, func(yield func(api.Order, error) bool) { yield(large, nil) }, feed.Options{Stock: 1000})
			require.EqualValues(t, 1, report.Fulfilled)
		})
	}
}

// What sells well has a long stream, of which orders read the end.
func TestTortureALongShelfIsReadFromItsSnapshot(t *testing.T) {
	t.Parallel()
	r := start(t, ways["a saga directs"](t))
	store := r.books["inventory"].Store
	received, err := api.Events.Encode(api.Received{Quantity: 1})
	require.NoError(t, err)
	for range 200 {
		_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "item-mug", Events: []eventstore.EventData{received}}}})
		require.NoError(t, err)
	}
	r.places(t, four(), feed.Options{Stock: 10})
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	snapshots := store.Store.(interface {
		Snapshots() aggregate.SnapshotStore
	}).Snapshots()
	require.Eventually(t, func() bool {
		snapshot, found, err := snapshots.FindSnapshot(t.Context(), aggregate.SnapshotKey{Store: head.Store, Stream: "item-mug", Shape: inventory.Shelves.Shape()})
		return err == nil && found && snapshot.Version >= 200
	}, time.Minute, 10*time.Millisecond)
}
