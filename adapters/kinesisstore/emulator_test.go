package kinesisstore_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/internal/awstest"
	"github.com/leftfold/leftfold/internal/awstest/emulators"
	"github.com/leftfold/leftfold/internal/awstest/fault"
)

// The scenario of [TestEveryIndexOfAStreamComesToTheSameStreams] on kinesis-local, over HTTP, and longer.
func TestTortureOfTheOrderOnTheEmulator(t *testing.T) {
	t.Parallel()
	for _, in := range databases {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			var over atomic.Bool
			wire := &fault.Transport{Over: emulators.Transport, Plan: faults(uint64(time.Now().UnixNano()), &over)}
			arbitrate(t, awstest.Kinesis(t, wire), &over, in, 3*eventstoretest.Scale, 4)
			for _, kind := range []fault.Kind{fault.AnswerLost, fault.Throttled, fault.ExpiredIterator} {
				require.NotZero(t, wire.Made(kind), "faults of kind %d", kind)
			}
		})
	}
}

// How long an append takes, and how many a second several writers make, each to a stream of its own, on
// kinesis-local and with the real indexer. They are figures of an emulator, which has no limits and no
// network: of AWS they say nothing but that the wait for the read back, 200 ms and less, is most of it.
func BenchmarkAppendOnTheEmulator(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			c := awstest.Kinesis(b, nil)
			index := openIndex(b, c, newStream(b, c, 2), onPostgres.open(b))
			followWith(b, indexer(c, index))
			store, err := kinesisstore.Open(b.Context(), c, index, kinesisstore.Options{})
			require.NoError(b, err)
			_, err = store.Append(b.Context(), to("order-0", eventstore.Any, event("first"))) // the indexer has begun
			require.NoError(b, err)
			took := make([][]time.Duration, writers)
			b.ResetTimer()
			var all sync.WaitGroup
			for w := range writers {
				all.Go(func() {
					for range (b.N + writers - 1) / writers {
						begun := time.Now()
						if _, err := store.Append(b.Context(), to(eventstore.NewStreamID("writer", fmt.Sprint(w)), eventstore.Any, event("a"))); err != nil {
							b.Error(err)
							return
						}
						took[w] = append(took[w], time.Since(begun))
					}
				})
			}
			all.Wait()
			b.StopTimer()
			every := slices.Sorted(slices.Values(slices.Concat(took...)))
			b.ReportMetric(float64(len(every))/b.Elapsed().Seconds(), "appends/s")
			b.ReportMetric(float64(every[len(every)/2].Milliseconds()), "p50-ms")
			b.ReportMetric(float64(every[len(every)*95/100].Milliseconds()), "p95-ms")
		})
	}
}
