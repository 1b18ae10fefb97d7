package postgres_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// BenchmarkInline is what appends cost that keep read models: none, one view, and two. Each
// append is one event of a stream of its writer's, and touches one row of each view.
func BenchmarkInline(b *testing.B) {
	second := projection.NewView("others", projection.ViewOptions{Version: 1},
		projection.When(func(c *customer, e itemSold, m eventstore.Recorded) { c.sold(e, m.RecordedAt) }))
	for _, writers := range []int{1, 8, 64} {
		for n, views := range [][]projection.InlineView{nil, {customers("customers", 1)}, {customers("customers", 1), second}} {
			b.Run(fmt.Sprintf("%d writers/%d views", writers, n), func(b *testing.B) {
				store := openOn(b, newPool(b), postgres.Options{Inline: projection.Inline[pgx.Tx]{Events: soldEvents, Views: views}})
				require.NoError(b, store.SwitchInline(b.Context()))
				sellTogether(b, store, writers)
			})
		}
	}
}

func sellTogether(b *testing.B, store eventstore.Store, writers int) {
	work := make(chan struct{}, writers)
	var all sync.WaitGroup
	b.ResetTimer()
	for w := range writers {
		all.Go(func() {
			stream := eventstore.NewStreamID("sale", fmt.Sprint(w))
			for n := 0; ; n++ {
				if _, more := <-work; !more {
					return
				}
				data, err := soldEvents.Encode(itemSold{Customer: fmt.Sprintf("customer %d", (w*7919+n*31)%5000), Item: "a jug", Country: "Finland", Pence: int64(n)})
				if err == nil {
					_, err = store.Append(b.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{
						Stream: stream, Expected: eventstore.Exactly(eventstore.Version(n)), Events: []eventstore.EventData{data},
					}}})
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
}
