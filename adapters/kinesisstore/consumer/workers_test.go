package consumer_test

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
)

// TestAWorkerThatSleptPastItsLeaseChangesNothing: it sleeps just before it takes a batch in, which another worker
// then does. The twin, with a target that does not compare, must take it in twice.
func TestAWorkerThatSleptPastItsLeaseChangesNothing(t *testing.T) {
	t.Parallel()
	for _, mutant := range []bool{false, true} {
		t.Run(fmt.Sprint("the target does not compare: ", mutant), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fake := newFake(t, 1, nil)
				book := newLedger()
				book.forgetful = mutant
				all := newCrowd(fake, book)
				defer all.stop()
				sleeper := all.join(t, "sleeper")
				put(t, fake, stream, "key", 1)
				until(t, time.Minute, "the sleeper has taken in the first", func() bool { return book.total() == 1 })

				synctest.Wait() // it waits for its next poll: the next it does is to take the second one in
				asleep, noTurns := make(chan struct{}), make(chan struct{})
				sleeper.pause.Store(&asleep)
				sleeper.hold.Store(&noTurns)
				put(t, fake, stream, "key", 2)
				time.Sleep(time.Second)
				other := all.join(t, "other")
				until(t, time.Minute, "another has taken in the second", func() bool { return book.total() == 2 })
				assert.EqualValues(t, 1, other.taken.Load())
				sleeper.pause.Store(nil)
				close(asleep) // it takes its batch in before it looks at its leases
				synctest.Wait()
				sleeper.hold.Store(nil)
				close(noTurns)
				put(t, fake, stream, "key", 3)
				until(t, time.Minute, "the third is taken in", func() bool { return book.total() >= 3 })
				time.Sleep(time.Minute)
				if mutant {
					require.Error(t, book.disorder())
					return
				}
				require.NoError(t, book.disorder())
				assert.True(t, sleeper.errors.has(consumer.ErrLost))
			})
		})
	}
}

// broken is a target that fails on a shard.
type broken struct {
	*ledger

	shard string
	fixed atomic.Bool
}

func (b *broken) Take(ctx context.Context, batch consumer.Batch) error {
	if batch.Shard == b.shard && !b.fixed.Load() {
		return assert.AnError
	}
	return b.ledger.Take(ctx, batch)
}

func TestAShardThatFailsStopsNoOtherAndGoesOnWhenItCan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const keys, each = 20, 30
		fake := newFake(t, 3, nil)
		book := &broken{ledger: newLedger(), shard: firstShard(t, fake)}
		all := newCrowd(fake, book)
		defer all.stop()
		a := all.join(t, "a")
		load := produce(t.Context(), t, fake, stream, keys, each, time.Second)
		load.Wait()
		time.Sleep(time.Minute)
		others := book.total()
		assert.Positive(t, others)
		assert.Less(t, others, keys*each)
		assert.Len(t, book.shards, 2)
		assert.True(t, a.errors.has(assert.AnError))
		book.fixed.Store(true)
		until(t, time.Minute, "the rest is taken in", func() bool { return book.total() == keys*each })
		require.NoError(t, book.disorder())
	})
}

// busy is a target that is in the middle of a batch until it is told to go on.
type busy struct {
	*ledger

	began chan string
	goOn  chan struct{}
}

func (b *busy) Take(ctx context.Context, batch consumer.Batch) error {
	if len(batch.Records) > 0 {
		b.began <- batch.Shard
		<-b.goOn
	}
	return b.ledger.Take(ctx, batch)
}

func TestAWorkerThatIsToldToStopEndsItsBatchAndGivesItsShardsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t, 1, nil)
		put(t, fake, stream, "key", 1)
		book := &busy{newLedger(), make(chan string), make(chan struct{})}
		all := newCrowd(fake, book)
		a := all.join(t, "a")
		<-book.began
		time.AfterFunc(2*time.Second, func() { close(book.goOn) })
		all.stop()
		assert.Equal(t, []int{1}, book.of("key"))
		assert.False(t, a.errors.has(context.Canceled))
		assert.Empty(t, owners(t, all.leases))
	})
}

func TestAShardThatIsWantedIsHandedOverBetweenTwoBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const keys, each = 20, 60
		fake := newFake(t, 4, nil)
		book := newLedger()
		all := newCrowd(fake, book)
		defer all.stop()
		first := all.join(t, "first")
		load := produce(t.Context(), t, fake, stream, keys, each, time.Second)
		until(t, time.Minute, "the first has all shards", func() bool { return owners(t, all.leases)["first"] == 4 })
		second := all.join(t, "second")
		until(t, 2*time.Minute, "the second has two", func() bool { return owners(t, all.leases)["second"] == 2 })
		load.Wait()
		until(t, time.Minute, "all is taken in", func() bool { return book.total() == keys*each })
		assert.False(t, first.errors.has(consumer.ErrLost), "it gave its shards up before they were taken")
		assert.False(t, second.errors.has(consumer.ErrLost))
		assert.Positive(t, second.taken.Load())
		require.NoError(t, book.disorder())
		time.Sleep(5 * time.Minute)
		assert.Equal(t, map[string]int{"first": 2, "second": 2}, owners(t, all.leases), "and there it stays")
	})
}

func TestLeasesOfShardsThatAreGoneAreRemoved(t *testing.T) {
	inTrimming(t, func(t trimming) {
		root := firstShard(t.T, t.kinesis)
		t.start()
		split(t.T, t.kinesis, root)
		time.Sleep(26 * time.Hour)
		leases, err := t.all.leases.List(t.Context())
		require.NoError(t, err)
		assert.Len(t, leases, 2)
		t.all.stop()
	})
}

// packed is a record as the KPL packs them, as far as the consumer looks.
func packed(values string) []byte {
	sum := md5.Sum([]byte(values))
	return append(append([]byte{0xF3, 0x89, 0x9A, 0xC2}, values...), sum[:]...)
}

func TestPackedRecordsAreRefusedUnlessTheyCanBeUnpacked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t, 1, nil)
		put(t, fake, stream, "key", 1)
		_, err := fake.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String(stream), PartitionKey: aws.String("key"), Data: packed("23")})
		require.NoError(t, err)
		book := newLedger()
		leases := consumer.NewMemory()
		var told errorLog
		run := func(w *consumer.Worker) (stop func()) {
			w.API, w.Stream, w.Target, w.Leases, w.OnError = fake, stream, book, leases, told.add
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- w.Run(ctx) }()
			return func() {
				cancel()
				require.NoError(t, <-ended)
			}
		}
		stop := run(&consumer.Worker{Limit: 1})
		until(t, time.Minute, "it is refused", func() bool { return told.has(consumer.ErrAggregated) })
		stop()
		assert.Equal(t, []int{1}, book.of("key"))

		stop = run(&consumer.Worker{Deaggregate: func(records []types.Record) (all []types.Record, err error) {
			for _, record := range records {
				if !consumer.IsAggregated(record) {
					return nil, errors.New("only the packed one is left")
				}
				for n := 2; n <= 3; n++ {
					record.Data = []byte(strconv.Itoa(n))
					all = append(all, record)
				}
			}
			return all, nil
		}})
		until(t, time.Minute, "it is unpacked", func() bool { return book.total() == 3 })
		stop()
		require.NoError(t, book.disorder())
	})
}

func TestARecordThatOnlyBeginsLikeAPackedOneIsNone(t *testing.T) {
	t.Parallel()
	assert.True(t, consumer.IsAggregated(types.Record{Data: packed("x")}))
	for _, data := range [][]byte{nil, []byte("x"), {0xF3, 0x89, 0x9A, 0xC2}, append(packed("x"), 0), make([]byte, 40)} {
		assert.False(t, consumer.IsAggregated(types.Record{Data: data}), data)
	}
}

func TestAWorkerWithoutWhatItNeedsSaysSo(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, new(consumer.Worker).Run(t.Context()), "set API")
}
