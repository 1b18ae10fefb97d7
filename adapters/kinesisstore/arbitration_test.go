package kinesisstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/awstest/fault"
)

// faults are those of the scenario: each kind once, so that none is left to chance, and then 10 % of the answers
// lost, 10 % throttled, iterators that expire. They end when the test says so.
func faults(seed uint64, over *atomic.Bool) fault.Plan {
	plan := fault.Random(seed,
		fault.Chance{Operation: "PutRecord", Kind: fault.AnswerLost, Probability: 0.1},
		fault.Chance{Operation: "PutRecord", Kind: fault.Throttled, Probability: 0.1},
		fault.Chance{Operation: "GetRecords", Kind: fault.ExpiredIterator, Probability: 0.1},
		fault.Chance{Operation: "GetRecords", Kind: fault.Throttled, Probability: 0.1},
		fault.Chance{Operation: "GetRecords", Kind: fault.Empty, Probability: 0.1},
	)
	each := fault.Script(map[string][]fault.Kind{
		"PutRecord":  {fault.AnswerLost, fault.Throttled},
		"GetRecords": {fault.ExpiredIterator, fault.Throttled, fault.Empty},
	})
	return func(operation string) fault.Kind {
		if over.Load() {
			return fault.None
		}
		if kind := each.Next(operation); kind != fault.None {
			return kind
		}
		return plan.Next(operation)
	}
}

const (
	writers = 8
	shared  = 3 // streams
)

// fight has the writers append to the streams, each at the version that it has seen, until each has won so
// often. It returns what was acknowledged.
func fight(t *testing.T, store *kinesisstore.Store, wins int, won func(total int)) map[string]eventstore.Version {
	acked, unknown := map[string]eventstore.Version{}, 0
	var mu sync.Mutex
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for n := 0; n < wins; {
				stream := eventstore.NewStreamID("order", fmt.Sprint(rand.IntN(shared)))
				e := event(fmt.Sprintf("%d/%d", w, n))
				at, err := version(t.Context(), store, stream)
				if err != nil {
					t.Error(err)
					return
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				receipt, err := store.Append(ctx, to(stream, eventstore.Exactly(at), e))
				cancel()
				mu.Lock()
				switch {
				case errors.Is(err, eventstore.ErrOutcomeUnknown):
					unknown++
				case err == nil:
					acked[fmt.Sprintf("%s@%d %s", stream, receipt.Versions[stream], e.Data)] = receipt.Versions[stream]
					n++
					won(len(acked))
				case !errors.Is(err, eventstore.ErrVersionConflict):
					t.Error(err)
					mu.Unlock()
					return
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	require.Zero(t, unknown, "appends of unknown outcome")
	return acked
}

func version(ctx context.Context, store eventstore.Store, stream eventstore.StreamID) (at eventstore.Version, err error) {
	for e, err := range store.ReadStream(ctx, stream, eventstore.StreamRange{Backwards: true, Limit: 1}) {
		return e.Version, err
	}
	return 0, nil
}

// reshard splits the one shard in two and merges them again, each time that it is told to.
func reshard(ctx context.Context, c client, name string, next <-chan int) error {
	for n := range next {
		shards, err := reader{client: c, stream: name}.shards(ctx)
		if err != nil {
			return err
		}
		open := slices.DeleteFunc(shards, func(s types.Shard) bool { return s.SequenceNumberRange.EndingSequenceNumber != nil })
		slices.SortFunc(open, func(a, b types.Shard) int {
			return hash(a.HashKeyRange.StartingHashKey).Cmp(hash(b.HashKeyRange.StartingHashKey))
		})
		if n%2 == 0 {
			middle := new(big.Int).Add(hash(open[0].HashKeyRange.StartingHashKey), hash(open[0].HashKeyRange.EndingHashKey))
			half := middle.Rsh(middle, 1).String()
			_, err = c.SplitShard(ctx, &kinesis.SplitShardInput{StreamName: &name, ShardToSplit: open[0].ShardId, NewStartingHashKey: &half})
		} else {
			_, err = c.MergeShards(ctx, &kinesis.MergeShardsInput{StreamName: &name, ShardToMerge: open[0].ShardId, AdjacentShardToMerge: open[1].ShardId})
		}
		if err != nil {
			return err
		}
		if err := active(ctx, c, name); err != nil {
			return err
		}
	}
	return nil
}

func hash(of *string) *big.Int {
	n, _ := new(big.Int).SetString(*of, 10)
	return n
}

// active waits until a stream is as it was asked to be.
func active(ctx context.Context, c client, name string) error {
	for {
		out, err := c.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &name})
		if err != nil || out.StreamDescriptionSummary.StreamStatus == types.StreamStatusActive {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// The shards' order decides between writers that fight, under lost answers, throttles, expired iterators and
// shards that split and merge: whoever was told that it won has won in every index of the stream.
func TestEveryIndexOfAStreamComesToTheSameStreams(t *testing.T) {
	t.Parallel()
	for _, in := range databases {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			var over atomic.Bool
			arbitrate(t, unlimited(faults(uint64(time.Now().UnixNano()), &over)), &over, in, 5, 4)
		})
	}
}

func arbitrate(t *testing.T, c client, over *atomic.Bool, in database, wins, reshards int) {
	name := newStream(t, c, 1)
	index := openIndex(t, c, name, in.open(t))
	followWith(t, indexer(c, index))
	store, err := kinesisstore.Open(t.Context(), c, index, kinesisstore.Options{})
	require.NoError(t, err)
	next, resharded := make(chan int, reshards), make(chan error, 1)
	go func() { resharded <- reshard(t.Context(), c, name, next) }()
	told := 0
	acked := fight(t, store, wins, func(total int) {
		for ; told < reshards && total >= (told+1)*writers*wins/(reshards+1); told++ {
			next <- told
		}
	})
	close(next)
	require.NoError(t, <-resharded)
	require.Len(t, acked, writers*wins)
	require.Equal(t, reshards, told)
	over.Store(true)

	other := openIndex(t, c, name, onSQLite.open(t))
	require.NoError(t, reader{client: c, stream: name, target: other}.drain(t.Context()))
	for _, x := range []*kinesisstore.Index{index, other} {
		there := contents(t, x)
		require.Len(t, there, len(acked))
		for of := range acked {
			require.Contains(t, there, of)
		}
	}

	// The twin reads children first.
	twin := openIndex(t, c, name, onSQLite.open(t))
	err = reader{client: c, stream: name, target: twin, childrenFirst: true}.drain(t.Context())
	require.ErrorIs(t, err, kinesisstore.ErrGap)
}

// indexer returns the index's own indexer, whose reads are as often as Kinesis allows.
func indexer(c client, index *kinesisstore.Index) kinesisstore.Indexer {
	return kinesisstore.Indexer{API: c, Index: index}
}

// followWith runs an indexer until the test ends.
func followWith(t testing.TB, i kinesisstore.Indexer) {
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- i.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-stopped)
	})
}
