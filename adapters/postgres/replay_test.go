package postgres_test

import (
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/codec/jsonv2"
)

// replayed is as long as it takes for the rate to be that of a long log.
const replayed = 500_000

// BenchmarkReplay reads a log of events as benchmarks/ has them, from the beginning; raw, and
// decoded in the reading loop. For comparison, the driver drops what COPY sends.
func BenchmarkReplay(b *testing.B) {
	pool := newPool(b)
	config := pool.Config()
	postgres.ReadLarge(config.ConnConfig)
	large, err := pgxpool.NewWithConfig(b.Context(), config)
	require.NoError(b, err)
	b.Cleanup(large.Close)
	store := openOn(b, large, postgres.Options{})
	fillLog(b, store)
	for _, statement := range []string{"VACUUM (ANALYZE, FREEZE) leftfold.events", "CHECKPOINT"} {
		_, err := pool.Exec(b.Context(), statement)
		require.NoError(b, err)
	}
	b.Run("raw", func(b *testing.B) {
		replay(b, store, func(eventstore.Recorded) error { return nil })
	})
	b.Run("copy", func(b *testing.B) {
		conn, err := pool.Acquire(b.Context())
		require.NoError(b, err)
		defer conn.Release()
		for b.Loop() {
			_, err := conn.Conn().PgConn().CopyTo(b.Context(), io.Discard, "COPY leftfold.events TO STDOUT (FORMAT binary)")
			require.NoError(b, err)
		}
		b.ReportMetric(float64(replayed*b.N)/b.Elapsed().Seconds(), "events/s")
	})
	for name, options := range map[string][]codec.Option{"json": nil, "jsonv2": {codec.In(jsonv2.Format{})}} {
		set, err := codec.NewSet(codec.Event[orderPlaced]("order.placed", options...))
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			replay(b, store, func(e eventstore.Recorded) error {
				_, err := set.Decode(e)
				return err
			})
		})
	}
}

func replay(b *testing.B, store eventstore.Store, handle func(eventstore.Recorded) error) {
	b.ReportAllocs()
	for b.Loop() {
		read, err := store.ReadLog(b.Context(), eventstore.LogQuery{})
		require.NoError(b, err)
		for e, err := range read.Events() {
			if err == nil {
				err = handle(e)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(replayed*b.N)/b.Elapsed().Seconds(), "events/s")
}

// orderPlaced is the payload, 205 bytes of JSON.
type orderPlaced struct {
	Ref      int64    `json:"ref"`
	OrderID  string   `json:"order_id"`
	Customer string   `json:"customer"`
	Email    string   `json:"email"`
	Amount   int      `json:"amount"`
	Currency string   `json:"currency"`
	Items    []string `json:"items"`
	Note     string   `json:"note"`
}

// fillLog appends streams of 100 events.
func fillLog(b *testing.B, store eventstore.Store) {
	b.Helper()
	const long, streams = 100, 100
	for first := 0; first < replayed; first += long * streams {
		var request eventstore.AppendRequest
		for n := range streams {
			write := eventstore.Write{Stream: eventstore.NewStreamID("order", fmt.Sprint(first/long+n))}
			for ref := range long {
				write.Events = append(write.Events, eventstore.EventData{
					Type: "order.placed", Metadata: []byte(`{"correlation_id":"0192f7a4c1e24d37","actor":"u-471"}`),
					Data: fmt.Appendf(nil, `{"ref":%d,"order_id":"o-2026-000815","customer":"ada.lovelace","email":"ada@example.com","amount":12999,"currency":"EUR","items":["lamp-17","desk-4","chair-23"],"note":"leave it at the door"}`, 1_000_000_000_000_000+first+ref),
				})
			}
			request.Writes = append(request.Writes, write)
		}
		_, err := store.Append(b.Context(), request)
		require.NoError(b, err)
	}
}
