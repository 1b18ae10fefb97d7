package memory_test

import (
	"context"
	"testing"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

func TestSink(t *testing.T) {
	projectiontest.RunSink(t, func(testing.TB) projection.Sink { return memory.NewSink() })
}

func TestSinkTransactions(t *testing.T) {
	projectiontest.RunTxSink(t, func(testing.TB) projectiontest.TxParts[*memory.Tx] {
		sink := memory.NewSink()
		return projectiontest.TxParts[*memory.Tx]{
			Sink: sink, Store: memory.NewStore(),
			Add: func(_ context.Context, tx *memory.Tx, counter string) error {
				count, _ := tx.Get("counters", counter)
				n, _ := count.(int)
				tx.Put("counters", counter, n+1)
				return nil
			},
			Read: func(_ context.Context, counter string) (int, error) {
				count, _ := sink.Value("counters", counter)
				n, _ := count.(int)
				return n, nil
			},
		}
	})
}

func TestEffects(t *testing.T) {
	projectiontest.RunEffects(t, func(testing.TB) projectiontest.Parts {
		return projectiontest.Parts{Store: memory.NewStore(), Sink: memory.NewSink()}
	})
}
