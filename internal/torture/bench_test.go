//go:build unix

package torture_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// BenchmarkReplicas asks for a row after a token that has arrived everywhere: straight from the sink,
// and through its replicas, by one user and by 16 at a time. All servers share the processors of
// one machine, so it shows what the choice costs, and not what more servers bring.
func BenchmarkReplicas(b *testing.B) {
	w := newWorld(b)
	r := newReads(w, nil)
	u := r.newUsers(1)[0]
	require.NoError(b, u.write(b.Context(), "board-0"))
	replicas := w.openReplicas(b)
	for sink, straight := range map[string]projection.Readable{"postgres": w.postgres[0].from, "redis": w.redis[0].from} {
		for name, from := range map[string]projection.Readable{"straight": straight, "replicas": replicas[sink]} {
			r.bus = newBus(w, map[string]projection.Readable{sink: from})
			q := question{Keys: []string{u.name}, From: []string{sink}}
			ask := func(ctx context.Context) error {
				_, err := query.Ask[[]answer](ctx, r.bus, q, query.After(u.mine))
				return err
			}
			require.NoError(b, ask(b.Context()))
			for _, readers := range []int{1, 16} {
				b.Run(fmt.Sprintf("%s/%s/%d", sink, name, readers), func(b *testing.B) { measure(b, readers, ask) })
			}
		}
	}
}

// measure shares the questions among readers.
func measure(b *testing.B, readers int, ask func(ctx context.Context) error) {
	var mu sync.Mutex
	var waits []time.Duration
	var all sync.WaitGroup
	b.ResetTimer()
	for n := range readers {
		all.Go(func() {
			for i := n; i < b.N; i += readers {
				began := time.Now()
				if err := ask(b.Context()); err != nil {
					b.Error(err)
					return
				}
				mu.Lock()
				waits = append(waits, time.Since(began))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.Sort(waits)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s")
	b.ReportMetric(float64(waits[len(waits)/2].Microseconds()), "p50-µs")
}
