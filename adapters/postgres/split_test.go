package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/internal/leases"
	"github.com/leftfold/leftfold/projection"
)

// A pause comes while a worker divides its segment, and waits for that. Both halves are paused.
func TestAPauseReachesASegmentThatIsSplitOffMeanwhile(t *testing.T) {
	require.Equal(t, []subscription.State{subscription.Paused, subscription.Paused}, pauseBehindASplit(t, func(f shares) leases.Store { return f }))
}

// The mutant takes for all segments those that one statement locks.
func TestMutantThatLooksOncePausesHalf(t *testing.T) {
	require.Equal(t, []subscription.State{subscription.Paused, ""}, pauseBehindASplit(t, func(f shares) leases.Store { return looksOnce{f} }))
}

type looksOnce struct{ shares }

func (f looksOnce) Update(ctx context.Context, change func(*leases.State, time.Time) error) error {
	return f.sink.on(ctx, func(on session) error {
		return inTransaction(ctx, on.conn, "", func(pgx.Tx) error {
			before, now, err := f.load(ctx, on, f.sink.db.sql.lockSegments)
			if err != nil {
				return err
			}
			after := before.Clone()
			if err := change(after, now); err != nil {
				return err
			}
			return f.save(ctx, on, leases.Changed(before, after))
		})
	})
}

// pauseBehindASplit returns how the segments do after a pause that had to wait for a split.
func pauseBehindASplit(t *testing.T, of func(shares) leases.Store) (states []subscription.State) {
	t.Helper()
	pool := internalPool(t)
	sink, err := OpenSink(t.Context(), pool, SinkOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sink.Close(context.Background())) })
	model := projection.Model{Generation: projection.Generation{Name: "halves", Version: 1}, Hash: "halves"}
	source := eventstore.Identity{Store: eventstore.StoreID{1}, Incarnation: 1}
	require.NoError(t, sink.Open(t.Context(), model, source))
	f := sink.shares(model.Generation, source.Store)

	paused := make(chan error, 1)
	require.NoError(t, f.Update(t.Context(), func(s *leases.State, _ time.Time) error { // it has the locks
		low, high, err := subscription.Whole.Cut(eventstore.Slices / 2)
		if err != nil {
			return err
		}
		upper := s.Segments[0]
		s.Segments[0].Segment, upper.Segment = low, high
		s.Segments = append(s.Segments, upper)
		go func() { paused <- leases.New(of(f)).Pause(t.Context()) }()
		require.Eventually(t, func() (waits bool) {
			err := pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')").Scan(&waits)
			return err == nil && waits
		}, TestPatience, TestStep)
		return nil
	}))
	require.NoError(t, <-paused)
	roster, err := sink.Leases(model.Generation, source.Store).Roster(t.Context())
	require.NoError(t, err)
	for _, l := range roster.Segments {
		states = append(states, l.Report.State)
	}
	return states
}
