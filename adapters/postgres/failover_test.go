package postgres_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/internal/testservers"
)

// The standby that takes over lacks the last events, which were acknowledged and read. Its
// next events take their positions. A subscription that has seen the lost ones must stop,
// or it would never see those that replaced them.
func TestAFailoverThatLostEventsIsNoticed(t *testing.T) {
	t.Parallel()
	primary, replica := replicated(t)
	store := openOn(t, poolOn(t, primary.URL("postgres")), postgres.Options{})
	for range 5 {
		_, err := store.Append(t.Context(), oneEvent("order-1"))
		require.NoError(t, err)
	}
	require.NoError(t, replica.CatchUp(t.Context()))
	require.NoError(t, replica.Disconnect(t.Context()))
	var lost eventstore.Receipt
	for range 3 {
		var err error
		lost, err = store.Append(t.Context(), oneEvent("order-1"))
		require.NoError(t, err)
	}
	follower := &collector{}
	require.NoError(t, subscription.New("follower", store, eventstore.Query{}, follower, subscription.Options{}).CatchUp(t.Context()))
	require.Len(t, follower.seen, 8)

	require.NoError(t, primary.StopImmediate(t.Context()))
	require.NoError(t, replica.Promote(t.Context()))
	after := openOn(t, poolOn(t, replica.URL("postgres")), postgres.Options{})
	for range 4 {
		_, err := after.Append(t.Context(), oneEvent("order-1"))
		require.NoError(t, err)
	}
	head, err := after.Head(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 9, head.Position, "positions 6 to 8 name other events now")
	require.Equal(t, lost.Token.Store, head.Store)
	require.Greater(t, head.Incarnation, lost.Token.Incarnation)
	require.ErrorIs(t, head.Check(lost.Token), eventstore.ErrDiverged)

	seen := len(follower.seen)
	err = subscription.New("follower", after, eventstore.Query{}, follower, subscription.Options{}).CatchUp(t.Context())
	require.ErrorIs(t, err, eventstore.ErrDiverged)
	require.Len(t, follower.seen, seen)

	// The mutant: a reader that has kept the position alone passes by the three events that
	// took the place of the lost ones, and notices nothing.
	read := positions(t, after, lost.Token.Position)
	require.Equal(t, []eventstore.Position{9}, read)
	ids := map[eventstore.EventID]bool{}
	for _, e := range follower.seen {
		ids[e.ID] = true
	}
	var passedBy []eventstore.Position
	for _, e := range logAfter(t, after, 0) {
		if !ids[e.ID] && !slices.Contains(read, e.Position) {
			passedBy = append(passedBy, e.Position)
		}
	}
	require.Equal(t, []eventstore.Position{6, 7, 8}, passedBy)
}

func logAfter(t *testing.T, store eventstore.Store, after eventstore.Position) (events []eventstore.Recorded) {
	t.Helper()
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{After: after})
	require.NoError(t, err)
	for e, err := range read.Events() {
		require.NoError(t, err)
		events = append(events, e)
	}
	return events
}

func positions(t *testing.T, store eventstore.Store, after eventstore.Position) (at []eventstore.Position) {
	t.Helper()
	for _, e := range logAfter(t, store, after) {
		at = append(at, e.Position)
	}
	return at
}

func TestAfterAFailoverThatLostNothingSubscriptionsGoOn(t *testing.T) {
	t.Parallel()
	primary, replica := replicated(t)
	store := openOn(t, poolOn(t, primary.URL("postgres")), postgres.Options{})
	for range 5 {
		_, err := store.Append(t.Context(), oneEvent("order-1"))
		require.NoError(t, err)
	}
	follower := &collector{}
	require.NoError(t, subscription.New("follower", store, eventstore.Query{}, follower, subscription.Options{}).CatchUp(t.Context()))
	require.NoError(t, replica.CatchUp(t.Context()))

	standby := openOn(t, poolOn(t, replica.URL("postgres")), postgres.Options{})
	_, err := standby.Append(t.Context(), oneEvent("order-1"))
	require.ErrorIs(t, err, postgres.ErrReadOnly)
	require.EqualValues(t, 5, headOf(t, standby))

	require.NoError(t, primary.StopImmediate(t.Context()))
	require.NoError(t, replica.Promote(t.Context()))
	_, err = standby.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err, "the store that was opened on the standby appends now")
	require.NoError(t, subscription.New("follower", standby, eventstore.Query{}, follower, subscription.Options{}).CatchUp(t.Context()))
	require.Len(t, follower.seen, 6)
}

// A dump carries the events, not the life that the store had where it was made.
func TestARestoredStoreIsTheSameInANewLife(t *testing.T) {
	t.Parallel()
	primary, _ := replicated(t)
	store := openOn(t, poolOn(t, primary.URL("postgres")), postgres.Options{})
	receipt, err := store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	follower := &collector{}
	require.NoError(t, subscription.New("follower", store, eventstore.Query{}, follower, subscription.Options{}).CatchUp(t.Context()))
	dump, err := primary.Dump(t.Context(), "postgres")
	require.NoError(t, err)

	elsewhere := startServer(t)
	name, err := elsewhere.NewDatabase(t.Context(), "")
	require.NoError(t, err)
	require.NoError(t, elsewhere.Load(t.Context(), name, dump))
	restored := openOn(t, poolOn(t, elsewhere.URL(name)), postgres.Options{})
	_, err = restored.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	head, err := restored.Head(t.Context())
	require.NoError(t, err)
	require.Equal(t, receipt.Token.Store, head.Store)
	require.Greater(t, head.Incarnation, receipt.Token.Incarnation)
	require.NoError(t, subscription.New("follower", restored, eventstore.Query{}, follower, subscription.Options{}).CatchUp(t.Context()))
	require.Len(t, follower.seen, 2)
}

// replicated starts a primary with a store and a standby of it.
func replicated(t *testing.T) (*testservers.Postgres, *testservers.Replica) {
	t.Helper()
	primary := startServer(t)
	_, err := postgres.Migrate(t.Context(), poolOn(t, primary.URL("postgres")), postgres.MigrateOptions{})
	require.NoError(t, err)
	replica, err := primary.Replica(t.Context(), testservers.ReplicaOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, replica.Stop(context.Background())) })
	return primary, replica
}

func startServer(t *testing.T) *testservers.Postgres {
	t.Helper()
	newPool(t) // skips, or fails, where there is no Postgres
	server, err := testservers.StartPostgres(t.Context(), testservers.PostgresOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	return server
}

// collector keeps what it is given, and its checkpoint.
type collector struct {
	at   subscription.Checkpoint
	seen []eventstore.Recorded
}

func (c *collector) Checkpoint(_ context.Context, source eventstore.StoreID) (subscription.Checkpoint, error) {
	if c.at.Source.Store == (eventstore.StoreID{}) {
		return subscription.Checkpoint{}, nil
	}
	return c.at, nil
}

func (c *collector) Apply(_ context.Context, window subscription.Window) error {
	if window.From != c.at {
		return subscription.ErrStale
	}
	c.at, c.seen = window.To, append(c.seen, window.Events...)
	return nil
}
