package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
)

// BenchmarkView builds a read model from a log in the same database, end to end: read,
// decode, load, fold, write, move the checkpoint. The keys of its rows are as likely as each
// other, or follow Zipf's law, as customers and goods do.
//
// Beside the sink are what one would write by hand, in the same transaction per window: the
// rows of a window in a pgx.Batch of upserts, and one load and one upsert for each event.
func BenchmarkView(b *testing.B) {
	for _, keys := range []string{"uniform", "zipf"} {
		b.Run(keys, func(b *testing.B) {
			pool := newPool(b)
			store := openOn(b, pool, postgres.Options{})
			fillSales(b, store, keys, benchEvents)
			for _, statement := range []string{"VACUUM (ANALYZE, FREEZE) leftfold.events", "CHECKPOINT"} {
				_, err := pool.Exec(b.Context(), statement)
				require.NoError(b, err)
			}
			for _, window := range []int{1000, 5000} {
				for _, way := range []struct {
					name string
					task func(name string) projection.Task
				}{
					{"sink", func(name string) projection.Task { return projection.Into(store.Sink(), customers(name, 1)) }},
					{"batch of upserts", func(name string) projection.Task {
						return projection.Into(rowByRow{store.Sink()}, customers(name, 1))
					}},
					{"event by event", func(name string) projection.Task {
						return projection.On(store.Sink(), customersByHand(b, pool, name))
					}},
				} {
					b.Run(fmt.Sprintf("window %d/%s", window, way.name), func(b *testing.B) {
						for b.Loop() {
							runner := projection.Runner{Log: store, Events: soldEvents, Window: window, Tasks: []projection.Task{way.task(benchName())}}
							require.NoError(b, runner.CatchUp(b.Context()))
						}
						b.ReportMetric(float64(benchEvents*b.N)/b.Elapsed().Seconds(), "events/s")
					})
				}
			}
		})
	}
}

const (
	benchEvents = 200_000
	benchKeys   = 100_000
)

var benchNames int

// benchName is for read models that have nothing of an earlier one.
func benchName() string {
	benchNames++
	return fmt.Sprintf("bench_%d", benchNames)
}

var soldEvents = func() *codec.Set {
	set, err := codec.NewSet(codec.Event[itemSold]("item.sold"))
	if err != nil {
		panic(err)
	}
	return set
}()

// itemSold is an event of the size that most have.
type itemSold struct {
	Customer string
	Item     string
	Country  string
	Pence    int64
}

type customer struct {
	Name    string `leftfold:"key"`
	Country string
	Items   int64
	Pence   int64
	Last    time.Time
}

func (c *customer) sold(e itemSold, at time.Time) {
	c.Country, c.Items, c.Pence, c.Last = e.Country, c.Items+1, c.Pence+e.Pence, at
}

func customers(name string, version int, indexes ...string) *projection.View[customer] {
	return projection.NewView(name, projection.ViewOptions{Version: version, Indexes: indexes},
		projection.WhenKeyed(func(e itemSold, _ eventstore.Recorded) string { return e.Customer },
			func(c *customer, e itemSold, m eventstore.Recorded) { c.sold(e, m.RecordedAt) }))
}

func upsertInto(table string) string {
	return fmt.Sprintf(`INSERT INTO %s (key, country, items, pence, last) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (key) DO UPDATE SET country = excluded.country, items = excluded.items, pence = excluded.pence, last = excluded.last`, table)
}

// customersByHand keeps the same table, one load and one upsert for each event.
func customersByHand(b *testing.B, pool *pgxpool.Pool, name string) *projection.Handler[pgx.Tx] {
	table := "by_hand_" + name
	_, err := pool.Exec(b.Context(), fmt.Sprintf(`CREATE TABLE %s (key text COLLATE "C" PRIMARY KEY, country text, items bigint, pence bigint, last timestamptz)`, table))
	require.NoError(b, err)
	load, upsert := fmt.Sprintf("SELECT country, items, pence, last FROM %s WHERE key = $1", table), upsertInto(table)
	return projection.NewHandler(name, projection.HandlerOptions{Version: 1}, func(ctx context.Context, tx pgx.Tx, m eventstore.Recorded) error {
		values, err := soldEvents.Decode(m)
		if err != nil {
			return err
		}
		e := values[0].(itemSold)
		var c customer
		if err := tx.QueryRow(ctx, load, e.Customer).Scan(&c.Country, &c.Items, &c.Pence, &c.Last); err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		c.sold(e, m.RecordedAt)
		_, err = tx.Exec(ctx, upsert, e.Customer, c.Country, c.Items, c.Pence, c.Last)
		return err
	})
}

// rowByRow commits with one upsert for each row.
type rowByRow struct{ *postgres.Sink }

func (s rowByRow) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	upsert := upsertInto(fmt.Sprintf("leftfold.view_%s_%d", model.Name, model.Version))
	return s.Transact(ctx, model.Generation, move, func(ctx context.Context, tx pgx.Tx) error {
		var batch pgx.Batch
		for _, change := range changes {
			batch.Queue(upsert, append([]any{change.Key}, change.Values...)...)
		}
		return tx.SendBatch(ctx, &batch).Close()
	})
}

// fillSales appends what customers buy.
func fillSales(b *testing.B, store eventstore.Store, keys string, events int) {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	next := func() uint64 { return random.Uint64N(benchKeys) }
	if keys == "zipf" {
		next = rand.NewZipf(random, 1.1, 1, benchKeys-1).Uint64
	}
	const long, streams = 100, 100
	for first := 0; first < events; first += long * streams {
		var request eventstore.AppendRequest
		for n := range streams {
			write := eventstore.Write{Stream: eventstore.NewStreamID("sale", fmt.Sprint(first/long+n))}
			for range long {
				write.Events = append(write.Events, eventstore.EventData{
					Type: "item.sold", Data: fmt.Appendf(nil, `{"Customer":"customer-%d","Item":"85123A","Country":"United Kingdom","Pence":255}`, next()),
				})
			}
			request.Writes = append(request.Writes, write)
		}
		_, err := store.Append(b.Context(), request)
		require.NoError(b, err)
	}
}
