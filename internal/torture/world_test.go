//go:build unix

package torture_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{}) // it tells of every server that is down
	goleak.VerifyTestMain(m)
}

type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// scored is a point for a player and for a board that many players share.
type scored struct{ Player, Board string }

// count is the row of a player or a board.
type count struct {
	Key    string `leftfold:"key"`
	Events int64
	Last   int64 // the position of the last of them
}

func (c *count) add(_ scored, m eventstore.Recorded) {
	c.Events++
	c.Last = int64(m.Position)
}

var counts = projection.NewView("counts", projection.ViewOptions{Version: 1},
	projection.WhenKeyed(func(e scored, _ eventstore.Recorded) string { return e.Player }, (*count).add),
	projection.WhenKeyed(func(e scored, _ eventstore.Recorded) string { return e.Board }, (*count).add))

// node is a server with read models, and a sink that reads from it alone.
type node[S projection.Readable] struct {
	name string
	from S
}

// world is a log and two sinks of it, each with replicas.
type world struct {
	primary  *testservers.Postgres
	standbys []*testservers.Replica
	master   *testservers.Redis
	copied   *testservers.Redis // the replica of the master
	replica  *redis.Client      // of that

	store    *postgres.Store
	postgres []node[*postgres.Sink] // the first is the primary, as below
	redis    []node[*redisstore.Sink]
}

// newWorld starts all servers, and a worker for each sink.
func newWorld(t testing.TB) *world {
	t.Helper()
	if err := errors.Join(testservers.PostgresAvailable(), testservers.RedisAvailable()); err != nil && os.Getenv("LEFTFOLD_TEST") != "all" {
		t.Skip(err)
	}
	w := &world{}
	var all sync.WaitGroup
	all.Go(func() { w.startRedis(t) })
	w.startPostgres(t)
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for _, sink := range []projection.Sink{w.store.Sink(), w.redis[0].from} {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() {
			ended <- projection.Worker{Log: w.store, Events: scoredEvents, Segments: 2, Tasks: []projection.Task{projection.Into(sink, counts)}}.Run(ctx)
		}()
		t.Cleanup(func() { cancel(); require.NoError(t, <-ended) })
	}
	return w
}

var scoredEvents = func() *codec.Set {
	set, err := codec.NewSet(codec.Event[scored]("scored"))
	if err != nil {
		panic(err)
	}
	return set
}()

func (w *world) startPostgres(t testing.TB) {
	t.Helper()
	var err error
	w.primary, err = testservers.StartPostgres(t.Context(), testservers.PostgresOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.primary.Stop(context.Background())) })
	pool := connect(t, w.primary)
	_, err = postgres.Migrate(t.Context(), pool, postgres.MigrateOptions{})
	require.NoError(t, err)
	w.store, err = postgres.Open(t.Context(), pool, postgres.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.store.Close(context.Background())) })
	w.postgres = append(w.postgres, node[*postgres.Sink]{"postgres", openSink(t, pool)})
	names, errs := []string{"a", "b"}, [2]error{}
	w.standbys = make([]*testservers.Replica, len(names))
	var all sync.WaitGroup
	for n, name := range names {
		all.Go(func() {
			w.standbys[n], errs[n] = w.primary.Replica(t.Context(), testservers.ReplicaOptions{Name: name})
		})
	}
	all.Wait()
	for n, standby := range w.standbys {
		require.NoError(t, errs[n])
		t.Cleanup(func() { require.NoError(t, standby.Stop(context.Background())) })
		w.postgres = append(w.postgres, node[*postgres.Sink]{"standby " + names[n], openSink(t, connect(t, standby.Postgres))})
	}
}

func connect(t testing.TB, server *testservers.Postgres) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func openSink(t testing.TB, pool *pgxpool.Pool) *postgres.Sink {
	t.Helper()
	sink, err := postgres.OpenSink(t.Context(), pool, postgres.SinkOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sink.Close(context.Background())) })
	return sink
}

// startRedis runs beside the test, so it may not end it.
func (w *world) startRedis(t testing.TB) {
	t.Helper()
	var err error
	if w.master, err = testservers.StartRedis(t.Context(), testservers.RedisOptions{}); err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(func() { require.NoError(t, w.master.Stop(context.Background())) })
	if w.copied, err = w.master.Replica(t.Context(), testservers.RedisOptions{}); err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(func() { require.NoError(t, w.copied.Stop(context.Background())) })
	for n, server := range []*testservers.Redis{w.master, w.copied} {
		client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
		t.Cleanup(func() { require.NoError(t, client.Close()) })
		sink, err := redisstore.Open(t.Context(), client, redisstore.Options{Logger: silent})
		if err != nil {
			t.Error(err)
			return
		}
		w.redis = append(w.redis, node[*redisstore.Sink]{[]string{"redis", "redis replica"}[n], sink})
		w.replica = client
	}
}

var silent = slog.New(slog.DiscardHandler)

// append adds one event.
func (w *world) append(ctx context.Context, stream eventstore.StreamID, event scored) (eventstore.Token, error) {
	data, err := scoredEvents.Encode(event)
	if err != nil {
		return eventstore.Token{}, err
	}
	receipt, err := w.store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Events: []eventstore.EventData{data}}}})
	return receipt.Token, err
}

// openReplicas opens the replicas of both sinks.
func (w *world) openReplicas(t testing.TB) map[string]*projection.Replicas {
	t.Helper()
	o := projection.ReplicasOptions{Every: 100 * time.Millisecond, Timeout: time.Second, Logger: silent}
	var standbys []postgres.Standby
	for n, standby := range w.standbys {
		standbys = append(standbys, postgres.Standby{Name: w.postgres[n+1].name, Pool: connect(t, standby.Postgres)})
	}
	ofPostgres := postgres.OpenReplicas(t.Context(), w.postgres[0].from, standbys, o)
	t.Cleanup(func() { require.NoError(t, ofPostgres.Close(context.Background())) })
	ofRedis, err := redisstore.OpenReplicas(t.Context(), w.redis[0].from, []*redis.Client{w.replica}, o)
	require.NoError(t, err)
	t.Cleanup(ofRedis.Close)
	return map[string]*projection.Replicas{"postgres": ofPostgres.Replicas, "redis": ofRedis}
}

// question asks for rows in some of the sinks.
type question struct {
	Keys   []string
	From   []string // names of sinks
	Listed bool
}

// answer is what one sink has.
type answer struct {
	from string
	rows map[string]count
}

// newBus returns a bus that answers questions from the sinks, by name.
func newBus(w *world, sinks map[string]projection.Readable) *query.Bus {
	bus := query.NewBus()
	bus.Follow(query.NewHead(w.store))
	query.Handle(bus, "counts", func(ctx context.Context, q question) ([]answer, error) {
		answers := make([]answer, len(q.From))
		for n, name := range q.From {
			rows, err := read(ctx, projection.NewReader(sinks[name], counts), q)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			answers[n] = answer{name, rows}
		}
		return answers, nil
	}, query.Reads("counts"))
	return bus
}

func read(ctx context.Context, from *projection.Reader[count], q question) (map[string]count, error) {
	if !q.Listed {
		return from.GetMany(ctx, q.Keys...)
	}
	rows := map[string]count{}
	page, err := from.List(ctx, projection.ListQuery{Limit: 2 * users})
	for _, row := range page.Rows {
		rows[row.Key] = row
	}
	return rows, err
}
