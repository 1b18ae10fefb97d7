package projection

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

type benchSold struct{ Pence int64 }

type benchOrder struct {
	ID    string `leftfold:"key"`
	Lines int64
	Pence int64
}

type benchTimed struct {
	ID   string `leftfold:"key"`
	Last time.Time
}

// What a view costs beyond reading and decoding: 1,000,000 events in windows of 5000 over
// 1000 rows, asked for their keys, folded and encoded for the sink. Goal: 1 M events/s.
func BenchmarkFoldDecodedEvents(b *testing.B) {
	benchFold(b, NewView("orders", ViewOptions{Version: 1},
		When(func(o *benchOrder, e benchSold, _ eventstore.Recorded) { o.Lines++; o.Pence += e.Pence })))
}

// The same with a time in the row, which is settled after each event.
func BenchmarkFoldDecodedEventsWithATime(b *testing.B) {
	benchFold(b, NewView("timed", ViewOptions{Version: 1},
		When(func(o *benchTimed, _ benchSold, m eventstore.Recorded) { o.Last = m.RecordedAt })))
}

func benchFold[R any](b *testing.B, view *View[R]) {
	const events, window = 1_000_000, 5_000
	set, err := codec.NewSet(codec.Event[benchSold]("sold"))
	require.NoError(b, err)
	model, _, err := view.model(set)
	require.NoError(b, err)
	target := newViewTarget(view, model, nil, set)
	happened := make([]decoded, window)
	for n := range happened {
		happened[n] = decoded{event: benchSold{int64(n)}, m: &eventstore.Recorded{
			Stream: eventstore.NewStreamID("order", fmt.Sprint(n%1000)), RecordedAt: time.Unix(int64(n), 123),
		}}
	}
	b.ReportAllocs()
	for b.Loop() {
		for range events / window {
			steps, err := target.steps(happened)
			if err != nil {
				b.Fatal(err)
			}
			batch, err := target.take(gathered(steps))
			if err != nil {
				b.Fatal(err)
			}
			if err := target.fold(batch); err != nil {
				b.Fatal(err)
			}
			if _, err := target.changes(batch); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(events)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
