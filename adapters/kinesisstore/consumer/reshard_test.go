package consumer_test

import (
	"context"
	"fmt"
	"math/big"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
	"github.com/leftfold/leftfold/internal/awstest/fault"
)

// middle returns where to split a shard.
func middle(t *testing.T, k service, shard string) string {
	t.Helper()
	keys := shardsOf(t, k)[shard].HashKeyRange
	low, _ := new(big.Int).SetString(*keys.StartingHashKey, 10)
	high, _ := new(big.Int).SetString(*keys.EndingHashKey, 10)
	return low.Add(low, high).Rsh(low, 1).String()
}

// produce puts values 1 to each of so many keys, one writer a key, a value every so often.
func produce(ctx context.Context, t *testing.T, k service, name string, keys, each int, every time.Duration) *sync.WaitGroup {
	var all sync.WaitGroup
	for n := range keys {
		all.Go(func() {
			for value := 1; value <= each && ctx.Err() == nil; value++ {
				for tryPut(ctx, k, name, fmt.Sprintf("key-%d", n), value) != nil { // the fake did not act then
					if ctx.Err() != nil {
						return
					}
					time.Sleep(every)
				}
				time.Sleep(every)
			}
		})
	}
	return &all
}

func resize(t *testing.T, k service, name string, shards int32) {
	t.Helper()
	_, err := k.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{
		StreamName: &name, TargetShardCount: &shards, ScalingType: types.ScalingTypeUniformScaling,
	})
	require.NoError(t, err)
}

// TestEverythingIsTakenInOnceAndInOrderWhileWorkersDieAndShardsChange is the whole of it: faults in one
// read of five, three workers of which one dies, one that comes late, four shards that become two, four and then six: Kinesis
// makes at most twice as many at a time.
func TestEverythingIsTakenInOnceAndInOrderWhileWorkersDieAndShardsChange(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const keys, each = 30, 60
				fake := newFake(t, 4, fault.Random(seed,
					fault.Chance{Operation: "GetRecords", Kind: fault.Throttled, Probability: 0.05},
					fault.Chance{Operation: "GetRecords", Kind: fault.ExpiredIterator, Probability: 0.05},
					fault.Chance{Operation: "GetRecords", Kind: fault.Empty, Probability: 0.05},
					fault.Chance{Operation: "GetRecords", Kind: fault.AnswerLost, Probability: 0.05},
					fault.Chance{Operation: "GetShardIterator", Kind: fault.Throttled, Probability: 0.1},
					fault.Chance{Operation: "ListShards", Kind: fault.Internal, Probability: 0.1},
				))
				book := newLedger()
				all := newCrowd(fake, book)
				defer all.stop()
				all.limit = 7
				a, b, c := all.join(t, "a"), all.join(t, "b"), all.join(t, "c")
				load := produce(t.Context(), t, fake, stream, keys, each, time.Second)
				until(t, time.Minute, "each has taken something in", func() bool {
					return a.taken.Load() > 0 && b.taken.Load() > 0 && c.taken.Load() > 0
				})
				resize(t, fake, stream, 2)
				time.Sleep(10 * time.Second)
				b.dead.Store(true)
				killed := b.taken.Load()
				late := all.join(t, "late")
				time.Sleep(10 * time.Second)
				resize(t, fake, stream, 4)
				time.Sleep(5 * time.Second)
				resize(t, fake, stream, 6)
				load.Wait()
				until(t, 5*time.Minute, "all is taken in", func() bool { return book.total() >= keys*each })
				until(t, 5*time.Minute, "the three that live have two shards each", func() bool {
					has := owners(t, all.leases)
					return has["a"] == 2 && has["c"] == 2 && has["late"] == 2 && has["b"] == 0
				})
				assert.Equal(t, keys*each, book.total())
				require.NoError(t, book.disorder())
				assert.Equal(t, killed, b.taken.Load())
				assert.Positive(t, late.taken.Load())
			})
		})
	}
}

// slowShard keeps the reads of a shard waiting, so that everything else has time to go wrong.
type slowShard struct {
	service

	shard string
	until time.Time
	strip bool // a mutant: shards have no parents
}

func (s *slowShard) GetShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput, o ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	if *in.ShardId == s.shard {
		select {
		case <-time.After(time.Until(s.until)):
		case <-ctx.Done():
		}
	}
	return s.service.GetShardIterator(ctx, in, o...)
}

func (s *slowShard) ListShards(ctx context.Context, in *kinesis.ListShardsInput, o ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	out, err := s.service.ListShards(ctx, in, o...)
	if err == nil && s.strip {
		for n := range out.Shards {
			out.Shards[n].ParentShardId = nil
		}
	}
	return out, err
}

// TestChildrenWaitForTheirParents: the value 1 of each key is in the parent, which is slow, and 2 in a child.
// The twin, in which shards have no parents, must take them in in the wrong order.
func TestChildrenWaitForTheirParents(t *testing.T) {
	t.Parallel()
	for _, mutant := range []bool{false, true} {
		t.Run(fmt.Sprint("parents are not heeded: ", mutant), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fake := newFake(t, 1, nil)
				parent := firstShard(t, fake)
				for n := range 8 {
					put(t, fake, stream, fmt.Sprint("key-", n), 1)
				}
				split(t, fake, parent)
				for n := range 8 {
					put(t, fake, stream, fmt.Sprint("key-", n), 2)
				}
				book := newLedger()
				all := newCrowd(&slowShard{service: fake, shard: parent, until: time.Now().Add(30 * time.Second), strip: mutant}, book)
				defer all.stop()
				all.join(t, "a")
				until(t, time.Minute, "all is taken in", func() bool { return book.total() == 16 })
				if mutant {
					require.Error(t, book.disorder())
				} else {
					require.NoError(t, book.disorder())
				}
			})
		})
	}
}

// endless is a target that cannot store the end of a shard for a while.
type endless struct {
	*ledger

	until time.Time
}

func (e *endless) Take(ctx context.Context, batch consumer.Batch) error {
	if batch.To.Ended && time.Now().Before(e.until) {
		return assert.AnError
	}
	return e.ledger.Take(ctx, batch)
}

func TestChildrenWaitUntilTheEndOfTheirParentsIsStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t, 1, nil)
		put(t, fake, stream, "key", 1)
		split(t, fake, firstShard(t, fake))
		put(t, fake, stream, "key", 2)
		book := &endless{newLedger(), time.Now().Add(5 * time.Minute)}
		all := newCrowd(fake, book)
		defer all.stop()
		first := all.join(t, "a")
		time.Sleep(4 * time.Minute) // the parent was read to its end long ago, and shards were listed since
		assert.Equal(t, []int{1}, book.of("key"))
		assert.True(t, first.errors.has(assert.AnError))
		until(t, 3*time.Minute, "all is taken in", func() bool { return book.total() == 2 })
		require.NoError(t, book.disorder())
	})
}

// onePage gives one shard a page.
type onePage struct{ service }

func (o onePage) ListShards(ctx context.Context, in *kinesis.ListShardsInput, more ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	in.MaxResults = aws.Int32(1)
	return o.service.ListShards(ctx, in, more...)
}

func TestAllPagesOfShardsAreRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t, 5, nil)
		for n := range 40 {
			put(t, fake, stream, fmt.Sprint("key-", n), 1)
		}
		book := newLedger()
		all := newCrowd(onePage{fake}, book)
		defer all.stop()
		all.join(t, "a")
		until(t, time.Minute, "all is taken in", func() bool { return book.total() == 40 })
		assert.Len(t, book.shards, 5)
	})
}
