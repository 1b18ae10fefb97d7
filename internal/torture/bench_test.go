//go:build unix

package torture_test

import (
	"context"
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
	for _, nodes := range [][]node{w.postgres, w.redis} {
		for name, from := range map[string]projection.Readable{"straight": nodes[0].from, "replicas": fleet(b, nodes)} {
			r.bus = newBus(w, map[string]projection.Readable{nodes[0].name: from})
			q := question{Keys: []string{u.name}, From: []string{nodes[0].name}}
			ask := func(ctx context.Context) error {
				_, err := query.Ask[[]answer](ctx, r.bus, q, query.After(u.mine))
				return err
			}
			require.NoError(b, ask(b.Context()))
			for _, at := range []struct {
				name    string
				readers int
			}{{"one reader", 1}, {"16 readers", 16}} {
				b.Run(nodes[0].name+"/"+name+"/"+at.name, func(b *testing.B) { measure(b, at.readers, ask) })
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
