package kinesisfake_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/awstest/fault"
	"github.com/leftfold/leftfold/internal/awstest/kinesisfake"
)

// registered returns a stream of one shard with a reader.
func registered(t *testing.T, options kinesisfake.Options) (s stream, fake *kinesisfake.Fake, arn *string) {
	t.Helper()
	fake = kinesisfake.New(options)
	s = stream{fake, "pushed"}
	s.create(t, 1)
	summary, err := s.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &s.name})
	require.NoError(t, err)
	out, err := fake.RegisterStreamConsumer(t.Context(), &kinesis.RegisterStreamConsumerInput{
		StreamARN: summary.StreamDescriptionSummary.StreamARN, ConsumerName: aws.String("reader"),
	})
	require.NoError(t, err)
	return s, fake, out.Consumer.ConsumerARN
}

func subscribe(t *testing.T, fake *kinesisfake.Fake, arn *string, from types.StartingPosition) *kinesis.SubscribeToShardEventStream {
	t.Helper()
	out, err := fake.Subscribe(t.Context(), &kinesis.SubscribeToShardInput{ConsumerARN: arn, ShardId: aws.String("shardId-000000000000"), StartingPosition: &from})
	require.NoError(t, err)
	return out
}

func next(t *testing.T, pushed *kinesis.SubscribeToShardEventStream) types.SubscribeToShardEvent {
	t.Helper()
	event, open := <-pushed.Events()
	require.True(t, open, "the subscription has ended")
	member, ok := event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
	require.True(t, ok)
	return member.Value
}

var oldest = types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}

func TestRecordsArePushedUntilTheShardEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, fake, arn := registered(t, kinesisfake.Options{})
		s.put(t, "k", "0")
		pushed := subscribe(t, fake, arn, oldest)
		assert.Equal(t, []string{"0"}, texts(next(t, pushed).Records))
		s.put(t, "k", "1")
		assert.Equal(t, []string{"1"}, texts(next(t, pushed).Records))
		assert.Empty(t, next(t, pushed).Records, "a sign of life")
		s.split(t, s.shards(t)[0])
		last := next(t, pushed)
		assert.Nil(t, last.ContinuationSequenceNumber)
		assert.Len(t, last.ChildShards, 2)
		_, open := <-pushed.Events()
		assert.False(t, open)
		assert.NoError(t, pushed.Close())
	})
}

func TestASubscriptionLivesForFiveMinutesAndIsContinued(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, fake, arn := registered(t, kinesisfake.Options{})
		began := time.Now()
		pushed := subscribe(t, fake, arn, oldest)
		var continuation *string
		for event := range pushed.Events() {
			member, ok := event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
			require.True(t, ok)
			continuation = member.Value.ContinuationSequenceNumber
		}
		assert.Equal(t, 5*time.Minute, time.Since(began))
		require.NoError(t, pushed.Close())

		for i := range 3 {
			s.put(t, "k", fmt.Sprint(i))
		}
		pushed = subscribe(t, fake, arn, types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: continuation})
		assert.Equal(t, []string{"0", "1", "2"}, texts(next(t, pushed).Records))
		require.NoError(t, pushed.Close())
	})
}

func TestAShardIsSubscribedToOnceInFiveSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, fake, arn := registered(t, kinesisfake.Options{})
		first := subscribe(t, fake, arn, oldest)
		_, err := fake.Subscribe(t.Context(), &kinesis.SubscribeToShardInput{ConsumerARN: arn, ShardId: aws.String("shardId-000000000000"), StartingPosition: &oldest})
		requireCode(t, err, "ResourceInUseException")
		time.Sleep(5 * time.Second)
		second := subscribe(t, fake, arn, oldest)
		for range first.Events() {
			continue // what was under way; then the newer one has ended it
		}
		require.NoError(t, first.Close())
		require.NoError(t, second.Close())
	})
}

func TestASubscriptionBreaksAsPlanned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, fake, arn := registered(t, kinesisfake.Options{Faults: fault.Script(map[string][]fault.Kind{"SubscribeToShardEvent": {fault.None, fault.Internal}})})
		s.put(t, "k", "0")
		pushed := subscribe(t, fake, arn, oldest)
		assert.Equal(t, []string{"0"}, texts(next(t, pushed).Records))
		s.put(t, "k", "1")
		_, open := <-pushed.Events()
		assert.False(t, open)
		requireCode(t, pushed.Err(), "InternalFailureException")
		requireCode(t, pushed.Close(), "InternalFailureException")
	})
}
