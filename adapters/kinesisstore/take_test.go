package kinesisstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/eventstore"
)

// byHand returns an index of a stream that is nowhere.
func byHand(t testing.TB, in kinesisstore.Database) *kinesisstore.Index {
	name := fmt.Sprint("by-hand-", streams.Add(1))
	index, err := kinesisstore.OpenIndex(t.Context(), in, kinesisstore.Stream{Name: name, ARN: "arn:" + name, CreatedAt: time.Unix(1, 0)})
	require.NoError(t, err)
	return index
}

func TestAWorkerThatWasTakenOverFromDoesNothing(t *testing.T) {
	t.Parallel()
	for _, in := range databases {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			index := byHand(t, in.open(t))
			log := records(t, record("order-1", 0, "a"), record("order-1", 1, "b"))
			require.NoError(t, index.Take(t.Context(), batch("shard-1", "", log[:1])))
			for _, from := range []string{"", "2", "9"} {
				require.ErrorIs(t, index.Take(t.Context(), batch("shard-1", from, log)), consumer.ErrLost)
			}
			require.NoError(t, index.Take(t.Context(), batch("shard-1", "1", log[1:])))
			require.ErrorIs(t, index.Take(t.Context(), batch("shard-1", "1", log[1:])), consumer.ErrLost)
			require.Equal(t, []string{"order-1@1 a", "order-1@2 b"}, contents(t, index))
		})
	}
}

func TestAGapHaltsItsShardAndNoOther(t *testing.T) {
	t.Parallel()
	for _, in := range databases {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			index := byHand(t, in.open(t))
			broken := records(t, record("order-1", 0, "a"), record("order-1", 2, "c"), record("order-2", 0, "x"))
			err := index.Take(t.Context(), batch("shard-1", "", broken))
			require.ErrorIs(t, err, kinesisstore.ErrGap)
			require.ErrorContains(t, err, "record at 2: ")
			require.ErrorContains(t, err, "expects version 2, and the index is at 1")
			require.ErrorContains(t, err, "Rebuild")
			at, err := index.Checkpoint(t.Context(), "shard-1")
			require.NoError(t, err)
			require.Equal(t, "1", at.Sequence, "what is before the gap is taken in")
			require.ErrorIs(t, index.Take(t.Context(), batch("shard-1", "1", broken[1:])), kinesisstore.ErrGap, "and it stays there")
			require.NoError(t, index.Take(t.Context(), batch("shard-2", "", records(t, record("order-3", 0, "y")))))
			require.Equal(t, []string{"order-1@1 a", "order-3@1 y"}, contents(t, index))
		})
	}
}

func TestARecordThatIsNotOursHaltsItsShard(t *testing.T) {
	t.Parallel()
	index := byHand(t, onSQLite.open(t))
	mine := records(t, record("order-1", 0, "a"))[0]
	for name, data := range map[string]string{
		"no JSON": "hello", "a newer format": `{"v":2}`, "packed by the KPL": "\xF3\x89\x9A\xC2...", "of nothing": `{"v":1,"stream":"order-1"}`,
	} {
		foreign := mine
		foreign.Data = []byte(data)
		err := index.Take(t.Context(), batch("shard-1", "", append(records(t), foreign)))
		require.ErrorIs(t, err, kinesisstore.ErrForeignRecord, name)
	}
	other := "order-2"
	mine.PartitionKey = &other
	require.ErrorIs(t, index.Take(t.Context(), batch("shard-1", "", append(records(t), mine))), kinesisstore.ErrForeignRecord)
	require.Empty(t, contents(t, index))
}

func TestAnAppendPastTheIndexIsNoticed(t *testing.T) {
	t.Parallel()
	for _, in := range databases {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			database := in.open(t)
			index := byHand(t, database)
			_, err := kinesisstore.InnerStore(database).Append(t.Context(), to("order-1", eventstore.Any, event("forged")))
			require.NoError(t, err)
			err = index.Take(t.Context(), batch("shard-1", "", records(t, record("order-1", 0, "a"))))
			require.ErrorIs(t, err, kinesisstore.ErrForeignWrite)
		})
	}
}

// The indexer dies inside its transaction, behind each of its steps: nothing of it stays, and the next
// one takes all of it.
func TestAnIndexerThatDiesInItsTransactionLosesNothing(t *testing.T) {
	t.Parallel()
	for _, in := range databases {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			database := in.open(t)
			index := byHand(t, database)
			log := records(t, record("order-1", 0, "a"), record("order-2", 0, "b"), record("order-1", 1, "c"))
			hit := 0
			for dies := true; dies; hit++ {
				ctx, cancel := context.WithCancel(t.Context())
				left := hit
				dies = false
				kinesisstore.DieInTransaction(index, func() bool {
					dies = left == 0
					left--
					return dies
				})
				err := index.Take(ctx, batch("shard-1", "", log))
				cancel()
				if !dies {
					require.NoError(t, err)
					break
				}
				require.ErrorIs(t, err, kinesisstore.ErrDied)
				require.Empty(t, contents(t, index))
				at, err := index.Checkpoint(t.Context(), "shard-1")
				require.NoError(t, err)
				require.Equal(t, consumer.Checkpoint{}, at)
			}
			require.Equal(t, 4, hit, "places where it died: behind the checkpoint and each record")
			require.Equal(t, []string{"order-1@1 a", "order-2@1 b", "order-1@2 c"}, contents(t, index))
		})
	}
}

// contents returns the events of the index, as "stream@version data".
func contents(t testing.TB, index *kinesisstore.Index) (all []string) {
	read, err := kinesisstore.InnerStore(kinesisstore.DatabaseOf(index)).ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	for e, err := range read.Events() {
		require.NoError(t, err)
		all = append(all, fmt.Sprintf("%s@%d %s", e.Stream, e.Version, e.Data))
	}
	return all
}
