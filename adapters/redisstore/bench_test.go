package redisstore_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
)

const benchKeys = 100_000

var benchTime = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// draws are ways to pick the row that an event touches.
var draws = map[string]func(random *rand.Rand) func() int{
	"uniform": func(random *rand.Rand) func() int { return func() int { return random.IntN(benchKeys) } },
	"skewed": func(random *rand.Rand) func() int {
		zipf := rand.NewZipf(random, 1.1, 1, benchKeys-1)
		return func() int { return int(zipf.Uint64()) }
	},
}

// BenchmarkSink is load, fold and commit of events that are decoded already, over
// 100,000 rows that exist. Goal: 250 k events/s without a log.
func BenchmarkSink(b *testing.B) {
	for _, fsync := range []string{"none", "everysec", "always"} {
		for _, draw := range []string{"skewed", "uniform"} {
			for _, window := range []int{1000, 5000} {
				b.Run(fmt.Sprintf("aof=%s/keys=%s/window=%d", fsync, draw, window), func(b *testing.B) {
					benchSink(b, serverFor(b, fsync), benchModel(), draw, window)
				})
			}
		}
	}
}

// BenchmarkSinkWithIndex is the same for a view whose every event changes an indexed column.
func BenchmarkSinkWithIndex(b *testing.B) {
	for _, draw := range []string{"skewed", "uniform"} {
		b.Run("keys="+draw, func(b *testing.B) {
			benchSink(b, serverFor(b, "none"), benchModel("sum"), draw, 5000)
		})
	}
}

func serverFor(b *testing.B, fsync string) *testservers.Redis {
	if fsync == "none" {
		return start(b, testservers.RedisOptions{})
	}
	return start(b, testservers.RedisOptions{AppendOnly: true, Settings: map[string]string{"appendfsync": fsync}})
}

func benchModel(indexes ...string) projection.Model {
	return projection.Model{
		Generation: projection.Generation{Name: "bench", Version: 1},
		Columns: []projection.Column{
			{Name: "customer", Kind: projection.Text}, {Name: "events", Kind: projection.Int},
			{Name: "sum", Kind: projection.Int}, {Name: "last", Kind: projection.Time},
		},
		Indexes: indexes,
		Hash:    "bench",
	}
}

func benchSink(b *testing.B, server *testservers.Redis, model projection.Model, draw string, window int) {
	client := connectTo(b, server)
	sink := open(b, client)
	w := &windows{sink: sink, model: model, keys: make([]string, benchKeys)}
	for n := range w.keys {
		w.keys[n] = fmt.Sprintf("order-%06d", n)
	}
	source := eventstore.Identity{Store: eventstore.NewStoreID(), Incarnation: 1}
	require.NoError(b, sink.Open(b.Context(), model, source))
	w.at = subscription.Checkpoint{Source: source, Generation: model.Generation.String(), Segment: subscription.Whole}
	for first := 0; first < benchKeys; first += 5000 {
		require.NoError(b, w.apply(b, 5000, func() int { first++; return first - 1 }))
		first -= 5000
	}
	next := draws[draw](rand.New(rand.NewPCG(1, 2)))
	require.NoError(b, client.ConfigResetStat(b.Context()).Err())
	b.ReportAllocs()
	for b.Loop() {
		if err := w.apply(b, window, next); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(window)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	blocked := client.Info(b.Context(), "commandstats").Val()
	_, blocked, _ = strings.Cut(blocked, "cmdstat_evalsha:")
	_, blocked, _ = strings.Cut(blocked, "usec_per_call=")
	blocked, _, _ = strings.Cut(blocked, ",")
	micros, err := strconv.ParseFloat(blocked, 64)
	require.NoError(b, err)
	b.ReportMetric(micros/1000, "blocked-ms/commit") // for everybody else on the server
}

// windows applies events, each of which adds 1 to a row.
type windows struct {
	sink  *redisstore.Sink
	model projection.Model
	keys  []string
	at    subscription.Checkpoint
}

func (w *windows) apply(b *testing.B, events int, next func() int) error {
	touched := make([]string, 0, events)
	counts := make(map[string]int64, events)
	for range events {
		key := w.keys[next()]
		if counts[key]++; counts[key] == 1 {
			touched = append(touched, key)
		}
	}
	rows, err := w.sink.Load(b.Context(), w.model, touched)
	if err != nil {
		return err
	}
	changes := make([]projection.Change, 0, len(touched))
	for _, row := range rows {
		row.Values[1] = row.Values[1].(int64) + counts[row.Key]
		row.Values[2] = row.Values[2].(int64) + 255*counts[row.Key]
		delete(counts, row.Key)
		changes = append(changes, projection.Change{Row: row})
	}
	for key, n := range counts {
		row := projection.Row{Key: key, Values: []any{"customer of " + key, n, 255 * n, benchTime}}
		changes = append(changes, projection.Change{Row: row})
	}
	to := w.at
	to.Anchor = eventstore.Anchor{Position: to.Anchor.Position + eventstore.Position(events), EventID: eventstore.NewEventID()}
	err = w.sink.Commit(b.Context(), w.model, projection.Move{From: w.at, To: to}, changes)
	w.at = to
	return err
}

// BenchmarkReplay is end to end: read a log in memory, decode, fold, write to Redis without
// a log of its own. Payloads are JSON, or 8 bytes that cost nothing to decode.
func BenchmarkReplay(b *testing.B) {
	for name, format := range map[string]codec.Format{"json": nil, "fixed": fixedFormat{}} {
		for _, draw := range []string{"skewed", "uniform"} {
			b.Run(fmt.Sprintf("payload=%s/keys=%s", name, draw), func(b *testing.B) { benchReplay(b, format, draw) })
		}
	}
}

type sold struct {
	Order int64
	Pence int64
}

type order struct {
	ID    string `leftfold:"key"`
	Lines int64
	Pence int64
}

var orders = projection.NewView("orders", projection.ViewOptions{Version: 1},
	projection.WhenKeyed(func(e sold, _ eventstore.Recorded) string { return fmt.Sprintf("order-%06d", e.Order) },
		func(o *order, e sold, _ eventstore.Recorded) { o.Lines++; o.Pence += e.Pence }))

// fixedFormat writes a sold as two numbers.
type fixedFormat struct{}

func (fixedFormat) Marshal(value any) ([]byte, error) {
	e := value.(sold)
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(e.Order)), uint64(e.Pence)), nil
}

func (fixedFormat) Unmarshal(data []byte, into any) error {
	e := into.(*sold)
	e.Order, e.Pence = int64(binary.BigEndian.Uint64(data)), int64(binary.BigEndian.Uint64(data[8:]))
	return nil
}

func benchReplay(b *testing.B, format codec.Format, draw string) {
	const events = 200_000
	var options []codec.Option
	if format != nil {
		options = append(options, codec.In(format))
	}
	set, err := codec.NewSet(codec.Event[sold]("sold", options...))
	require.NoError(b, err)
	store := memory.NewStore()
	next := draws[draw](rand.New(rand.NewPCG(1, 2)))
	for range events / 1000 {
		write := eventstore.Write{Stream: "till-1"}
		for range 1000 {
			data, err := set.Encode(sold{int64(next()), 255})
			require.NoError(b, err)
			write.Events = append(write.Events, data)
		}
		_, err := store.Append(b.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{write}})
		require.NoError(b, err)
	}
	client := connectTo(b, start(b, testservers.RedisOptions{}))
	b.ReportAllocs()
	for b.Loop() {
		runner := projection.Runner{Log: store, Events: set, Tasks: []projection.Task{projection.Into(open(b, client), orders)}}
		if err := runner.CatchUp(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
