package kinesisfake_test

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/awstest/fault"
	"github.com/leftfold/leftfold/internal/awstest/kinesisfake"
)

// clock is moved by hand.
type clock struct{ since atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Unix(1_800_000_000, 0).Add(time.Duration(c.since.Load()))
}
func (c *clock) advance(d time.Duration) { c.since.Add(int64(d)) }

func faked(t *testing.T, shards int32, options kinesisfake.Options) (stream, *clock) {
	t.Helper()
	c := &clock{}
	options.Now = c.now
	s := stream{kinesisfake.New(options), "orders"}
	s.create(t, shards)
	return s, c
}

var fromOldest = &kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon}

func TestAShardTakesAThousandRecordsASecond(t *testing.T) {
	t.Parallel()
	s, clock := faked(t, 1, kinesisfake.Options{})
	for range 1000 {
		s.put(t, "k", "x")
	}
	_, err := s.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: &s.name, PartitionKey: aws.String("k"), Data: []byte("x")})
	requireCode(t, err, "ProvisionedThroughputExceededException")
	clock.advance(time.Second)
	s.put(t, "k", "x")
}

func TestAShardTakesAMebibyteASecond(t *testing.T) {
	t.Parallel()
	s, clock := faked(t, 1, kinesisfake.Options{})
	s.put(t, "k", string(bytes.Repeat([]byte("x"), 600<<10)))
	half := &kinesis.PutRecordInput{StreamName: &s.name, PartitionKey: aws.String("k"), Data: bytes.Repeat([]byte("x"), 512<<10)}
	_, err := s.PutRecord(t.Context(), half)
	requireCode(t, err, "ProvisionedThroughputExceededException")
	clock.advance(500 * time.Millisecond)
	_, err = s.PutRecord(t.Context(), half)
	require.NoError(t, err)
}

func TestARecordAndItsKeyHaveAMebibyte(t *testing.T) {
	t.Parallel()
	s, _ := faked(t, 1, kinesisfake.Options{Unlimited: true})
	s.put(t, "k", string(bytes.Repeat([]byte("x"), 1<<20-1)))
	large := bytes.Repeat([]byte("x"), 1<<20)
	_, err := s.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: &s.name, PartitionKey: aws.String("k"), Data: large})
	requireCode(t, err, "ValidationException")
	_, err = s.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: &s.name, Records: []types.PutRecordsRequestEntry{
		{PartitionKey: aws.String("k"), Data: []byte("small")}, {PartitionKey: aws.String("k"), Data: large},
	}})
	requireCode(t, err, "ValidationException")
	_, err = s.PutRecords(t.Context(), &kinesis.PutRecordsInput{StreamName: &s.name, Records: make([]types.PutRecordsRequestEntry, 501)})
	requireCode(t, err, "ValidationException")
	assert.Len(t, s.all(t, s.shards(t)[0]), 1, "a call that is refused puts nothing")
}

func TestAShardIsReadFiveTimesASecond(t *testing.T) {
	t.Parallel()
	s, clock := faked(t, 2, kinesisfake.Options{})
	shards := s.shards(t)
	iterator, other := s.iterator(t, shards[0], fromOldest), s.iterator(t, shards[1], fromOldest)
	for range 5 {
		_, err := s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &iterator})
		require.NoError(t, err)
	}
	_, err := s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &iterator})
	requireCode(t, err, "ProvisionedThroughputExceededException")
	_, err = s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &other})
	require.NoError(t, err, "another shard has a limit of its own")
	clock.advance(200 * time.Millisecond)
	_, err = s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &iterator})
	require.NoError(t, err)
}

func TestTenMebibytesAtOnceCostFiveSeconds(t *testing.T) {
	t.Parallel()
	s, clock := faked(t, 1, kinesisfake.Options{})
	for range 11 {
		s.put(t, "k", string(bytes.Repeat([]byte("x"), 1<<20-1)))
		clock.advance(time.Second)
	}
	iterator := s.iterator(t, s.shards(t)[0], fromOldest)
	out, err := s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &iterator})
	require.NoError(t, err)
	require.Len(t, out.Records, 10)
	assert.Equal(t, int64(1000), *out.MillisBehindLatest)
	clock.advance(4 * time.Second)
	_, err = s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: out.NextShardIterator})
	requireCode(t, err, "ProvisionedThroughputExceededException")
	clock.advance(time.Second)
	out, err = s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: out.NextShardIterator})
	require.NoError(t, err)
	require.Len(t, out.Records, 1)
}

func TestAnIteratorLivesForFiveMinutes(t *testing.T) {
	t.Parallel()
	s, clock := faked(t, 1, kinesisfake.Options{})
	iterator := s.iterator(t, s.shards(t)[0], fromOldest)
	clock.advance(300 * time.Second)
	out, err := s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &iterator})
	require.NoError(t, err)
	clock.advance(time.Second)
	_, err = s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &iterator})
	requireCode(t, err, "ExpiredIteratorException")
	_, err = s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: out.NextShardIterator})
	require.NoError(t, err, "each answer has a new one")
}

// The trap that a reader has to look out for by itself: there is no error.
func TestReadingAfterARecordThatIsGoneBeginsAtTheOldestThatIsLeft(t *testing.T) {
	t.Parallel()
	s, clock := faked(t, 1, kinesisfake.Options{})
	first := s.put(t, "k", "0")
	s.put(t, "k", "1")
	clock.advance(23 * time.Hour)
	s.put(t, "k", "2")
	clock.advance(2 * time.Hour)
	shard := s.shards(t)[0]
	records, _ := s.readAll(t, s.iterator(t, shard, at(types.ShardIteratorTypeAfterSequenceNumber, *first.SequenceNumber)))
	assert.Equal(t, []string{"2"}, texts(records))
}

func TestAClosedShardGoesWhenItsRecordsAreGone(t *testing.T) {
	t.Parallel()
	s, clock := faked(t, 1, kinesisfake.Options{})
	parent := s.shards(t)[0]
	s.split(t, parent)
	out, err := s.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &s.name, ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtTrimHorizon}})
	require.NoError(t, err)
	assert.Equal(t, []string{*parent.ShardId}, ids(out.Shards))
	clock.advance(25 * time.Hour)
	shards := s.shards(t)
	require.Len(t, shards, 2)
	assert.Equal(t, *parent.ShardId, *shards[0].ParentShardId, "a child names its parent also when it is gone")
	_, err = s.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: &s.name, ShardId: parent.ShardId, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	requireCode(t, err, "ResourceNotFoundException")
}

func TestAPageOfShardsMustBeFetchedWithinFiveMinutes(t *testing.T) {
	t.Parallel()
	s, clock := faked(t, 2, kinesisfake.Options{})
	out, err := s.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &s.name, MaxResults: aws.Int32(1)})
	require.NoError(t, err)
	clock.advance(301 * time.Second)
	_, err = s.ListShards(t.Context(), &kinesis.ListShardsInput{NextToken: out.NextToken})
	requireCode(t, err, "ExpiredNextTokenException")
}

func TestARecordIsOfItsShard(t *testing.T) {
	t.Parallel()
	s, _ := faked(t, 1, kinesisfake.Options{})
	parent := s.shards(t)[0]
	before := s.put(t, "k", "0")
	s.split(t, parent)
	after := s.put(t, "k", "1")
	assert.Greater(t, *after.SequenceNumber, *s.shards(t)[0].SequenceNumberRange.EndingSequenceNumber)
	for name, in := range map[string]*kinesis.GetShardIteratorInput{
		"a number of another shard": {ShardId: after.ShardId, StartingSequenceNumber: before.SequenceNumber},
		"a number of a child":       {ShardId: parent.ShardId, StartingSequenceNumber: after.SequenceNumber},
		"no number":                 {ShardId: parent.ShardId, StartingSequenceNumber: aws.String("12")},
	} {
		in.StreamName, in.ShardIteratorType = &s.name, types.ShardIteratorTypeAtSequenceNumber
		_, err := s.GetShardIterator(t.Context(), in)
		requireCode(t, err, "InvalidArgumentException")
		assert.Error(t, err, name)
	}
	_, err := s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: aws.String("none")})
	requireCode(t, err, "InvalidArgumentException")
}

func TestAUTOIgnoresPartitionKeys(t *testing.T) {
	t.Parallel()
	fake := kinesisfake.New(kinesisfake.Options{})
	s := stream{fake, "spread"}
	_, err := s.CreateStream(t.Context(), &kinesis.CreateStreamInput{
		StreamName: &s.name, StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand},
		RecordDistributionStrategy: types.RecordDistributionStrategyAuto,
	})
	require.NoError(t, err)
	assert.Len(t, s.shards(t), 4)
	assert.NotEqual(t, *s.put(t, "k", "0").ShardId, *s.put(t, "k", "1").ShardId)
	out, err := s.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &s.name})
	require.NoError(t, err)
	assert.Equal(t, types.RecordDistributionStrategyAuto, out.StreamDescriptionSummary.RecordDistributionStrategy)

	_, err = fake.UpdateStreamRecordDistributionStrategy(t.Context(), &kinesis.UpdateStreamRecordDistributionStrategyInput{
		StreamARN: out.StreamDescriptionSummary.StreamARN, RecordDistributionStrategy: types.RecordDistributionStrategyUserPartitionKey,
	})
	require.NoError(t, err)
	assert.Equal(t, *s.put(t, "k", "2").ShardId, *s.put(t, "k", "3").ShardId)
}

func TestFaultsAreThoseOfThePlan(t *testing.T) {
	t.Parallel()
	plan := fault.Script(map[string][]fault.Kind{
		"PutRecord":  {fault.AnswerLost, fault.RequestLost, fault.Throttled, fault.Internal},
		"PutRecords": {fault.Partial},
		"GetRecords": {fault.ExpiredIterator, fault.Empty},
	})
	s, _ := faked(t, 1, kinesisfake.Options{Faults: plan})
	for i, code := range []string{"", "", "ProvisionedThroughputExceededException", "InternalFailureException"} {
		_, err := s.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: &s.name, PartitionKey: aws.String("k"), Data: []byte(fmt.Sprint(i))})
		require.Error(t, err)
		if code != "" {
			requireCode(t, err, code)
		}
	}
	in := &kinesis.PutRecordsInput{StreamName: &s.name}
	for i := range 4 {
		in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String("k"), Data: fmt.Append(nil, "batch-", i)})
	}
	out, err := s.PutRecords(t.Context(), in)
	require.NoError(t, err)
	assert.Equal(t, int32(2), *out.FailedRecordCount)
	assert.Equal(t, "ProvisionedThroughputExceededException", *out.Records[1].ErrorCode)

	iterator := s.iterator(t, s.shards(t)[0], fromOldest)
	_, err = s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &iterator})
	requireCode(t, err, "ExpiredIteratorException")
	empty, err := s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &iterator})
	require.NoError(t, err)
	assert.Empty(t, empty.Records)
	assert.Positive(t, *empty.MillisBehindLatest)
	records, _ := s.readAll(t, *empty.NextShardIterator)
	assert.Equal(t, []string{"0", "batch-2", "batch-0"}, texts(records), "one answer was lost; a batch has no order")
}
