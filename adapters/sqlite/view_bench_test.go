package sqlite_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
)

// BenchmarkView builds a read model from a log in the same file, end to end: read, decode, load,
// fold, write, move the checkpoint. The keys of its 100,000 rows are as likely as each other, or
// follow Zipf's law, as customers and goods do.
func BenchmarkView(b *testing.B) {
	const events, keys = 200_000, 100_000
	set, err := codec.NewSet(codec.Event[sold]("item.sold"))
	require.NoError(b, err)
	random := rand.New(rand.NewPCG(1, 2))
	for name, next := range map[string]func() uint64{
		"uniform": func() uint64 { return random.Uint64N(keys) },
		"zipf":    rand.NewZipf(random, 1.1, 1, keys-1).Uint64,
	} {
		b.Run(name, func(b *testing.B) {
			store := openStore(b, newPath(b))
			for n := range events / 1000 {
				write := eventstore.Write{Stream: eventstore.NewStreamID("sale", fmt.Sprint(n))}
				for range 1000 {
					data, err := set.Encode(sold{fmt.Sprintf("customer %d", next()), 255})
					require.NoError(b, err)
					write.Events = append(write.Events, data)
				}
				_, err := store.Append(b.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{write}})
				require.NoError(b, err)
			}
			for n := 0; b.Loop(); n++ {
				view := projection.NewView(fmt.Sprintf("buyers_%d", n), projection.ViewOptions{Version: 1},
					projection.WhenKeyed(func(e sold, _ eventstore.Recorded) string { return e.Customer },
						func(row *buyer, e sold, _ eventstore.Recorded) { row.Items++; row.Pence += e.Pence }))
				runner := projection.Runner{Log: store, Events: set, Tasks: []projection.Task{projection.Into(store.Sink(), view)}}
				require.NoError(b, runner.CatchUp(b.Context()))
			}
			b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
