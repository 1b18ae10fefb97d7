package consumer_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
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
	"github.com/leftfold/leftfold/internal/awstest"
	"github.com/leftfold/leftfold/internal/awstest/emulators"
	"github.com/leftfold/leftfold/internal/awstest/fault"
	"github.com/leftfold/leftfold/internal/awstest/kinesisfake"
)

// fanOut registers a consumer of the stream.
func fanOut(t *testing.T, fake *kinesisfake.Fake) *consumer.FanOut {
	t.Helper()
	summary, err := fake.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(stream)})
	require.NoError(t, err)
	out, err := fake.RegisterStreamConsumer(t.Context(), &kinesis.RegisterStreamConsumerInput{
		StreamARN: summary.StreamDescriptionSummary.StreamARN, ConsumerName: aws.String("workers"),
	})
	require.NoError(t, err)
	return &consumer.FanOut{ConsumerARN: *out.Consumer.ConsumerARN, Subscribe: fake.Subscribe}
}

// The same as with polling, and with subscriptions that break.
func TestWhatIsPushedIsTakenInOnceAndInOrderWhileWorkersDieAndShardsChange(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				const keys, each = 30, 60
				fake := newFake(t, 4, fault.Random(seed,
					fault.Chance{Operation: "SubscribeToShardEvent", Kind: fault.AnswerLost, Probability: 0.02},
					fault.Chance{Operation: "SubscribeToShardEvent", Kind: fault.Internal, Probability: 0.02},
					fault.Chance{Operation: "SubscribeToShard", Kind: fault.Throttled, Probability: 0.1},
					fault.Chance{Operation: "GetRecords", Kind: fault.Throttled, Probability: 0.1},
				))
				book := newLedger()
				all := newCrowd(fake, book)
				all.fanOut = fanOut(t, fake)
				var subscriptions atomic.Int64
				subscribe := all.fanOut.Subscribe
				all.fanOut.Subscribe = func(ctx context.Context, in *kinesis.SubscribeToShardInput) (*kinesis.SubscribeToShardEventStream, error) {
					subscriptions.Add(1)
					return subscribe(ctx, in)
				}
				defer all.stop()
				a := all.join(t, "a")
				all.join(t, "b")
				load := produce(t.Context(), t, fake, stream, keys, each, time.Second)
				time.Sleep(10 * time.Second)
				resize(t, fake, stream, 2)
				time.Sleep(10 * time.Second)
				a.dead.Store(true)
				all.join(t, "c")
				time.Sleep(10 * time.Second)
				resize(t, fake, stream, 4)
				load.Wait()
				until(t, 10*time.Minute, "everything was taken in", func() bool { return book.total() >= keys*each })
				require.NoError(t, book.disorder())
				assert.Equal(t, keys*each, book.total())
				assert.Greater(t, subscriptions.Load(), int64(4+2+4), "subscriptions that broke were made again")
			})
		})
	}
}

func TestRecordsComeAsTheyArriveNotWhenPolled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t, 1, nil)
		book := newLedger()
		all := newCrowd(fake, book)
		all.fanOut, all.poll = fanOut(t, fake), time.Minute
		defer all.stop()
		all.join(t, "a")
		put(t, fake, stream, "k", 1)
		until(t, 3*time.Minute, "the first one, which is polled", func() bool { return book.total() == 1 })
		time.Sleep(2 * time.Minute) // subscribed
		for value := 2; value < 10; value++ {
			put(t, fake, stream, "k", value)
			synctest.Wait()
			assert.Equal(t, value, book.total(), "pushed in no time at all")
		}
	})
}

// A subscription lives for five minutes; a poll between two of them sees that the shard is at its tip.
func TestSubscriptionsAreRenewedForDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t, 1, nil)
		book := newLedger()
		all := newCrowd(fake, book)
		all.fanOut, all.ttl = fanOut(t, fake), time.Minute // two days of turns every few seconds are slow
		defer all.stop()
		a := all.join(t, "a")
		put(t, fake, stream, "k", 1)
		time.Sleep(49 * time.Hour) // the record is trimmed, and the retention over, twice
		put(t, fake, stream, "k", 2)
		until(t, time.Minute, "the second one", func() bool { return book.total() == 2 })
		assert.False(t, a.errors.has(consumer.ErrTrimmed))
	})
}

// A connection that is dead without a word is given up.
func TestASubscriptionThatSaysNothingIsReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t, 1, nil)
		book := newLedger()
		all := newCrowd(fake, book)
		all.fanOut = fanOut(t, fake)
		mute, subscribe := true, all.fanOut.Subscribe
		all.fanOut.Subscribe = func(ctx context.Context, in *kinesis.SubscribeToShardInput) (*kinesis.SubscribeToShardEventStream, error) {
			if mute {
				mute = false
				return kinesis.NewSubscribeToShardEventStream(func(s *kinesis.SubscribeToShardEventStream) { s.Reader = wordless{} }), nil
			}
			return subscribe(ctx, in)
		}
		defer all.stop()
		all.join(t, "a")
		time.Sleep(5 * time.Second)
		put(t, fake, stream, "k", 1)
		until(t, time.Minute, "the record", func() bool { return book.total() == 1 })
		assert.False(t, mute)
	})
}

// tip is the planted bug: it subscribes at the tip of the shard, not behind the checkpoint. A record
// arrives just before.
func tip(t *testing.T, fake *kinesisfake.Fake, f *consumer.FanOut) {
	subscribe := f.Subscribe
	f.Subscribe = func(ctx context.Context, in *kinesis.SubscribeToShardInput) (*kinesis.SubscribeToShardEventStream, error) {
		put(t, fake, stream, "k", 1)
		in.StartingPosition = &types.StartingPosition{Type: types.ShardIteratorTypeLatest}
		return subscribe(ctx, in)
	}
}

func TestASubscriptionAtTheTipWouldLoseRecords(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := newFake(t, 1, nil)
		book := newLedger()
		all := newCrowd(fake, book)
		all.fanOut = fanOut(t, fake)
		tip(t, fake, all.fanOut)
		defer all.stop()
		all.join(t, "a")
		time.Sleep(5 * time.Second)
		put(t, fake, stream, "k", 2)
		until(t, time.Minute, "the second record", func() bool { return book.total() == 1 })
		require.EqualError(t, book.disorder(), "k: [2]")
	})
}

// On the emulator, with the SDK's own client and its subscriptions over HTTP.
func TestWhatIsPushedByTheEmulatorIsTakenIn(t *testing.T) {
	t.Parallel()
	client := awstest.Kinesis(t, emulators.FanOut{Over: emulators.Transport})
	name := "pushed-" + rand.Text()
	awstest.CreateStream(t, client, name, 2)
	summary, err := client.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &name})
	require.NoError(t, err)
	registered, err := client.RegisterStreamConsumer(t.Context(), &kinesis.RegisterStreamConsumerInput{
		StreamARN: summary.StreamDescriptionSummary.StreamARN, ConsumerName: aws.String("workers"),
	})
	require.NoError(t, err)
	arn := registered.Consumer.ConsumerARN
	require.Eventually(t, func() bool {
		out, err := client.DescribeStreamConsumer(t.Context(), &kinesis.DescribeStreamConsumerInput{ConsumerARN: arn})
		return err == nil && out.ConsumerDescription.ConsumerStatus == types.ConsumerStatusActive
	}, time.Minute, 20*time.Millisecond)

	book := newLedger()
	all := newCrowd(client, book)
	all.name, all.fanOut = name, &consumer.FanOut{ConsumerARN: *arn, Subscribe: consumer.Subscribe(client)}
	subscribed := make(chan string, 100)
	subscribe := all.fanOut.Subscribe
	all.fanOut.Subscribe = func(ctx context.Context, in *kinesis.SubscribeToShardInput) (*kinesis.SubscribeToShardEventStream, error) {
		out, err := subscribe(ctx, in)
		if err == nil {
			subscribed <- *in.ShardId
		}
		return out, err
	}
	defer all.stop()
	all.join(t, "a")
	shards := map[string]bool{}
	for len(shards) < 2 {
		select {
		case shard := <-subscribed:
			shards[shard] = true
		case <-time.After(time.Minute):
			t.Fatal("no subscription")
		}
	}
	for value := 1; value <= 5; value++ {
		for _, key := range []string{"a", "b", "c"} {
			put(t, client, name, key, value)
		}
	}
	require.Eventually(t, func() bool { return book.total() == 15 }, time.Minute, 20*time.Millisecond)
	require.NoError(t, book.disorder())
}

// wordless is a subscription without events.
type wordless struct {
	kinesis.SubscribeToShardEventStreamReader
}

func (wordless) Events() <-chan types.SubscribeToShardEventStream { return nil }
func (wordless) Close() error                                     { return nil }
func (wordless) Err() error                                       { return errors.New("wordless") }
