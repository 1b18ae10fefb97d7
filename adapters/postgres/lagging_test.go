package postgres_test

import (
	"context"
	"iter"
	"net"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/testservers"
)

// The address leads to two servers, and the one that answers the later pages has not
// replayed the end of the log yet. Without the proof that a page carries, all of these reads
// but that of the whole log end early (ids of commands lack anywhere) and say nothing.
func TestAReadNoticesThatItsLaterPagesComeFromAServerThatLags(t *testing.T) {
	t.Parallel()
	primary, replica := replicated(t)
	writer := openOn(t, poolOn(t, primary.URL("postgres")), postgres.Options{})
	appendMany(t, writer, "order-1", 6000)
	require.NoError(t, replica.CatchUp(t.Context()))
	require.NoError(t, replica.PauseReplay(t.Context()))
	appendMany(t, writer, "order-1", 3000)
	store, first := openOnTwo(t, primary, replica)
	for name, read := range readings(store) {
		t.Run(name, func(t *testing.T) {
			first.Store(1)
			seen, err := read(t.Context())
			require.ErrorIs(t, err, postgres.ErrUnavailable, "after %d events", seen)
			require.ErrorIs(t, err, eventstore.ErrStoreBusy)
			require.ErrorContains(t, err, "this server is behind")
			require.NotErrorIs(t, err, eventstore.ErrDiverged)

			first.Store(100)
			seen, err = read(t.Context())
			require.NoError(t, err)
			require.Equal(t, 9000, seen)

			first.Store(0)
			seen, err = read(t.Context())
			require.NoError(t, err, "the standby by itself has a log too")
			require.Equal(t, 6000, seen)
		})
	}
	require.NoError(t, replica.ResumeReplay(t.Context()))
	require.NoError(t, replica.CatchUp(t.Context()))
	for name, read := range readings(store) {
		first.Store(1)
		seen, err := read(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, 9000, seen, name)
	}
}

// The server of the later pages has another history: it was promoted without the last
// events, and others stand at their positions.
func TestAReadNoticesThatItsLaterPagesComeFromAnotherHistory(t *testing.T) {
	t.Parallel()
	primary, replica := replicated(t)
	writer := openOn(t, poolOn(t, primary.URL("postgres")), postgres.Options{})
	appendMany(t, writer, "order-1", 6000)
	require.NoError(t, replica.CatchUp(t.Context()))
	require.NoError(t, replica.Disconnect(t.Context()))
	appendMany(t, writer, "order-1", 3000)
	require.NoError(t, replica.Promote(t.Context()))
	appendMany(t, openOn(t, poolOn(t, replica.URL("postgres")), postgres.Options{}), "order-1", 3000)
	store, first := openOnTwo(t, primary, replica)
	for name, query := range queries() {
		first.Store(1)
		seen, err := logReading(store, query)(t.Context())
		require.ErrorIs(t, err, eventstore.ErrDiverged, "%s: after %d events", name, seen)
	}
}

// openOnTwo opens a store whose connections lead to the primary as often as first says, and
// to the standby from then on. Each is used once.
func openOnTwo(t *testing.T, primary *testservers.Postgres, standby *testservers.Replica) (store *postgres.Store, first *atomic.Int64) {
	t.Helper()
	first = new(atomic.Int64)
	first.Store(100)
	config, err := pgxpool.ParseConfig(primary.URL("postgres"))
	require.NoError(t, err)
	config.ConnConfig.DialFunc = func(ctx context.Context, network, _ string) (net.Conn, error) {
		to := primary.Addr()
		if first.Add(-1) < 0 {
			to = standby.Addr()
		}
		return new(net.Dialer).DialContext(ctx, network, to)
	}
	config.AfterRelease = func(*pgx.Conn) bool { return false }
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return openOn(t, pool, postgres.Options{}), first
}

// appendMany appends so many events of a type of which there is only one, with two tags. Each thousand has a command.
func appendMany(t *testing.T, store *postgres.Store, stream eventstore.StreamID, n int) {
	t.Helper()
	for ; n > 0; n -= 1000 {
		events := make([]eventstore.EventData, min(n, 1000))
		for i := range events {
			events[i] = eventstore.EventData{Type: "order.placed", Tags: []eventstore.Tag{"a:1", "b:2"}, Data: []byte("{}")}
		}
		_, err := store.Append(t.Context(), eventstore.AppendRequest{
			Command: eventstore.Command{ID: eventstore.CommandID(eventstore.NewEventID())},
			Writes:  []eventstore.Write{{Stream: stream, Events: events}},
		})
		require.NoError(t, err)
	}
}

// queries are one for each way along which the log is read; each matches what appendMany appends.
func queries() map[string]eventstore.Query {
	return map[string]eventstore.Query{
		"all":             {},
		"by type":         eventstore.Types("order.placed"),
		"by tag":          eventstore.Tagged("a:1"),
		"by two tags":     eventstore.Tagged("a:1", "b:2"),
		"by either tag":   {Items: []eventstore.QueryItem{{Tags: []eventstore.Tag{"a:1"}}, {Tags: []eventstore.Tag{"b:2"}}}},
		"by type and tag": {Items: []eventstore.QueryItem{{Types: []string{"order.placed"}, Tags: []eventstore.Tag{"a:1"}}}},
		"by type or tag":  {Items: []eventstore.QueryItem{{Types: []string{"order.placed"}}, {Tags: []eventstore.Tag{"a:1"}}}},
	}
}

// readings are those queries, a stream from both ends, and the ids of commands. Each reports how many events it got.
func readings(store *postgres.Store) map[string]func(context.Context) (int, error) {
	all := map[string]func(context.Context) (int, error){}
	for name, query := range queries() {
		all["the log "+name] = logReading(store, query)
	}
	for name, in := range map[string]eventstore.StreamRange{"forwards": {}, "forwards, bounded": {Through: 9000}, "backwards": {Backwards: true}} {
		all["a stream "+name] = func(ctx context.Context) (int, error) { return count(store.ReadStream(ctx, "order-1", in)) }
	}
	all["the ids of commands"] = func(ctx context.Context) (seen int, err error) {
		read, err := store.ReadLog(ctx, eventstore.LogQuery{})
		if err != nil {
			return 0, err
		}
		for _, err := range store.ReadCommands(ctx, read.Through) {
			if err != nil {
				return seen, err
			}
			seen += 1000
		}
		return seen, nil
	}
	return all
}

func logReading(store *postgres.Store, query eventstore.Query) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		read, err := store.ReadLog(ctx, eventstore.LogQuery{Query: query})
		if err != nil {
			return 0, err
		}
		return count(read.Events())
	}
}

func count(events iter.Seq2[eventstore.Recorded, error]) (seen int, err error) {
	for _, err := range events {
		if err != nil {
			return seen, err
		}
		seen++
	}
	return seen, nil
}
