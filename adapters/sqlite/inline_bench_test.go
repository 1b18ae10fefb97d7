package sqlite_test

import (
	"database/sql"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
)

type sold struct {
	Customer string
	Pence    int64
}

type buyer struct {
	Items int64
	Pence int64
}

// BenchmarkInline is what appends cost that keep a view, beside the same without it. Each
// append is one event, and touches one row.
func BenchmarkInline(b *testing.B) {
	events, err := codec.NewSet(codec.Event[sold]("item.sold"))
	require.NoError(b, err)
	buyers := projection.NewView("buyers", projection.ViewOptions{Version: 1},
		projection.WhenKeyed(func(e sold, _ eventstore.Recorded) string { return e.Customer },
			func(row *buyer, e sold, _ eventstore.Recorded) { row.Items++; row.Pence += e.Pence }))
	for _, writers := range []int{1, 8, 64} {
		for n, views := range [][]projection.InlineView{nil, {buyers}} {
			b.Run(fmt.Sprintf("%d writers/%d views", writers, n), func(b *testing.B) {
				s, err := openInline(b.Context(), newPath(b), projection.Inline[*sql.Tx]{Events: events, Views: views})
				require.NoError(b, err)
				defer func() { require.NoError(b, s.Store.(*sqlite.Store).Close(b.Context())) }()
				require.NoError(b, s.Switch(b.Context()))
				work := make(chan int, writers)
				var all sync.WaitGroup
				b.ResetTimer()
				for w := range writers {
					all.Go(func() {
						for n := range work {
							data, err := events.Encode(sold{fmt.Sprintf("customer %d", n%5000), int64(n)})
							if err == nil {
								_, err = s.Store.Append(b.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{
									Stream: eventstore.NewStreamID("sale", fmt.Sprint(w)), Events: []eventstore.EventData{data},
								}}})
							}
							if err != nil {
								b.Error(err)
							}
						}
					})
				}
				for n := range b.N {
					work <- n
				}
				close(work)
				all.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
			})
		}
	}
}
