package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// trusting is a log with which a reader's anchor is always right, and which ends where the reader
// is, at least: the mutant of a subscription that keeps the position alone.
type trusting struct {
	eventstore.LogReader

	mu   sync.Mutex
	seen map[eventstore.Position]eventstore.Anchor
}

func (l *trusting) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	read, err := l.LogReader.ReadLog(ctx, query)
	if errors.Is(err, eventstore.ErrAheadOfLog) {
		head, err := l.Head(ctx)
		at := l.seen[query.After]
		return eventstore.NewLogRead(eventstore.LogRead{Identity: head.Identity, After: at, Through: at, Head: query.After}, func(func(eventstore.Recorded, error) bool) {}), err
	}
	if err != nil {
		return read, err
	}
	if seen, ok := l.seen[read.After.Position]; ok {
		read.After = seen
	}
	l.seen[read.Through.Position] = read.Through
	return read, nil
}

// follower is a worker that keeps a read model of a log on another server.
type follower struct {
	log  eventstore.LogReader
	pool *pgxpool.Pool // of the sink
	sink *postgres.Sink
}

func newFollower(t *testing.T, log eventstore.LogReader) follower {
	t.Helper()
	pool := newPool(t)
	return follower{log, pool, openSinkOn(t, pool)}
}

func (f follower) run(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- projection.Worker{Log: f.log, Events: soldEvents, Tasks: []projection.Task{projection.Into(f.sink, tallies(1))}, Segments: 2, TTL: time.Second}.Run(ctx)
	}()
	stop = sync.OnceFunc(func() { cancel(); require.NoError(t, <-ended) })
	t.Cleanup(stop)
	return stop
}

// comesTo waits until all segments are at a position, in a state that their holder tells. An earlier
// holder's last report stays until then.
func (f follower) comesTo(t *testing.T, log eventstore.LogReader, position eventstore.Position, state subscription.State) (status projection.Status) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		if status, err = projection.StatusOf(t.Context(), log, f.sink, tallies(1).Generation()); err != nil {
			return false // the server has just changed
		}
		for _, l := range status.Segments {
			told := l.Holder != "" && l.Report.Fence == l.Fence
			if !told || l.Position() != position || l.Report.State != state {
				return false
			}
		}
		return len(status.Segments) == 2
	}, postgres.TestPatience, postgres.TestStep)
	return status
}

// sum is how many events the read model has counted.
func (f follower) sum(t *testing.T) (events int64) {
	t.Helper()
	for row, err := range projection.NewReader(f.sink, tallies(1)).All(t.Context(), projection.ListQuery{}) {
		require.NoError(t, err)
		events += row.Events
	}
	return events
}

// A standby takes over without the last events, which a running worker has applied, and gives
// their positions to others: fewer, as many and more. Every time the read model stands still, and
// says why, also when the worker starts again. The mutant goes on without a word.
func TestTortureWorkersNoticeEveryFailoverThatLostEvents(t *testing.T) {
	t.Parallel()
	const before, lost = 20, 5
	for round := range 3 * eventstoretest.Scale {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			primary, replica := replicated(t)
			store := openOn(t, poolOn(t, eitherOf(t, primary.URL("postgres"), replica.URL("postgres"))), postgres.Options{})
			worker := newFollower(t, store)
			mutant := newFollower(t, &trusting{LogReader: store, seen: map[eventstore.Position]eventstore.Anchor{}})
			stop := worker.run(t)
			mutant.run(t)
			sell(t, store, before)
			require.NoError(t, replica.CatchUp(t.Context()))
			require.NoError(t, replica.Disconnect(t.Context()))
			for range lost {
				_, err := store.Append(t.Context(), soldTo(t, "lost"))
				require.NoError(t, err)
			}
			worker.comesTo(t, store, before+lost, subscription.Running)
			mutant.comesTo(t, store, before+lost, subscription.Running)

			require.NoError(t, primary.StopImmediate(t.Context()))
			require.NoError(t, replica.Promote(t.Context()))
			after := openOn(t, poolOn(t, replica.URL("postgres")), postgres.Options{})
			others := []int{lost - 3, lost, lost + 7}[round%3]
			sell(t, after, others)
			worker.comesTo(t, after, before+lost, subscription.Diverged)
			stop()
			worker.run(t)
			sell(t, after, 1)
			status := worker.comesTo(t, after, before+lost, subscription.Diverged)
			require.EqualValues(t, before+lost, worker.sum(t))
			require.Contains(t, status.Segments[0].Report.Note, "rebuild the read model")

			// By the mutant's account nothing is wrong, and it has passed by as many events as were lost.
			if others > lost {
				mutant.comesTo(t, after, before+eventstore.Position(others)+1, subscription.Running)
				rows, err := tallies(1).Fold(soldEvents, logAfter(t, after, 0))
				require.NoError(t, err)
				require.NotEmpty(t, disagreement(t, mutant.pool, tallies(1), rows))
			}
		})
	}
}

// soldTo is a sale to a customer.
func soldTo(t *testing.T, customer string) eventstore.AppendRequest {
	t.Helper()
	data, err := soldEvents.Encode(itemSold{Customer: customer, Pence: 1})
	require.NoError(t, err)
	return eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "sale-1", Events: []eventstore.EventData{data}}}}
}

// eitherOf is the address of whichever of two servers takes writes.
func eitherOf(t *testing.T, first, second string) string {
	t.Helper()
	a, err := url.Parse(first)
	require.NoError(t, err)
	b, err := url.Parse(second)
	require.NoError(t, err)
	a.Host += "," + b.Host
	return a.String() + "&target_session_attrs=read-write"
}
