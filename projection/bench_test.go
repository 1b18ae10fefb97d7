package projection_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// A replay on one core, end to end: read a log in memory, decode its JSON, fold, commit
// to the memory sink. Goal: 300 k events/s, most of it spent on JSON.
func BenchmarkReplay(b *testing.B) {
	type order struct {
		ID    string `leftfold:"key"`
		Lines int64
		Pence int64
	}
	const events = 200_000
	store := memory.NewStore()
	for n := range events / 1000 {
		write := eventstore.Write{Stream: eventstore.NewStreamID("order", fmt.Sprint(n%1000))}
		for range 1000 {
			data, err := shopEvents().Encode(ItemSold{"85123A", "United Kingdom", 255})
			require.NoError(b, err)
			write.Events = append(write.Events, data)
		}
		_, err := store.Append(b.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{write}})
		require.NoError(b, err)
	}
	view := projection.NewView("orders", projection.ViewOptions{Version: 1},
		projection.WhenKeyed(func(_ ItemSold, m eventstore.Recorded) string { return fmt.Sprint(m.Position % 1000) },
			func(o *order, e ItemSold, _ eventstore.Recorded) { o.Lines++; o.Pence += e.Pence }))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	b.ReportAllocs()
	for b.Loop() {
		runner := projection.Runner{Log: store, Events: shopEvents(), Tasks: []projection.Task{projection.Into(memory.NewSink(), view)}}
		if err := runner.CatchUp(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
