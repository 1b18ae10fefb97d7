package kinesisfake_test

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/awstest"
	"github.com/leftfold/leftfold/internal/awstest/kinesisfake"
)

// api is what the fake and the SDK's client have in common.
type api interface {
	CreateStream(context.Context, *kinesis.CreateStreamInput, ...func(*kinesis.Options)) (*kinesis.CreateStreamOutput, error)
	DescribeStreamSummary(context.Context, *kinesis.DescribeStreamSummaryInput, ...func(*kinesis.Options)) (*kinesis.DescribeStreamSummaryOutput, error)
	IncreaseStreamRetentionPeriod(context.Context, *kinesis.IncreaseStreamRetentionPeriodInput, ...func(*kinesis.Options)) (*kinesis.IncreaseStreamRetentionPeriodOutput, error)
	ListShards(context.Context, *kinesis.ListShardsInput, ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error)
	GetShardIterator(context.Context, *kinesis.GetShardIteratorInput, ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error)
	GetRecords(context.Context, *kinesis.GetRecordsInput, ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error)
	PutRecord(context.Context, *kinesis.PutRecordInput, ...func(*kinesis.Options)) (*kinesis.PutRecordOutput, error)
	PutRecords(context.Context, *kinesis.PutRecordsInput, ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error)
	SplitShard(context.Context, *kinesis.SplitShardInput, ...func(*kinesis.Options)) (*kinesis.SplitShardOutput, error)
	MergeShards(context.Context, *kinesis.MergeShardsInput, ...func(*kinesis.Options)) (*kinesis.MergeShardsOutput, error)
	UpdateShardCount(context.Context, *kinesis.UpdateShardCountInput, ...func(*kinesis.Options)) (*kinesis.UpdateShardCountOutput, error)
}

var (
	_ api = (*kinesis.Client)(nil)
	_ api = (*kinesisfake.Fake)(nil)
)

// clause is something that the fake and the emulator do alike.
type clause struct {
	name string
	test func(t *testing.T, of stream)
}

// What kinesis-local does otherwise, and only the fake's own tests look at:
//
//   - It throttles nothing, and takes 501 records in a call, or none.
//   - An iterator that is none is answered with a 500; one expires after 300 s of real time.
//   - A filter AT_TRIM_HORIZON chooses all shards, not those that were open then.
//   - A child's first records may have lower sequence numbers than its parent's end.
//   - A record of 1 MiB keeps it busy for seconds. (It refuses a larger one, without counting the key.)
//   - Any digits are a StartingSequenceNumber.
var clauses = []clause{
	{"records come back in the order in which they were put", recordsComeBackInOrder},
	{"the MD5 of the partition key decides about the shard", theHashDecides},
	{"each type of iterator begins where it says", iteratorsBeginWhereTheySay},
	{"GetRecords gives no more than its limit, and goes on from there", getRecordsGoesOn},
	{"shards are listed page by page", shardsAreListedByPages},
	{"filters choose shards", filtersChooseShards},
	{"a shard that was split gives all it has, then its children", aSplitShardEnds},
	{"a reader that is at the tip when its shard closes is told the children", theTipCloses},
	{"a merged shard has two parents", aMergedShardHasTwoParents},
	{"UpdateShardCount covers all hash keys", updateShardCountCoversAll},
	{"PutRecords answers entry by entry", putRecordsAnswersByEntry},
	{"a partition key has up to 256 characters", aKeyHas256Characters},
	{"SequenceNumberForOrdering must be one", orderingMustBeANumber},
	{"what is not there is not found", whatIsNotThere},
	{"a name is taken once", aNameIsTakenOnce},
	{"retention only grows", retentionOnlyGrows},
}

func TestFakeAndEmulatorDoTheSame(t *testing.T) {
	t.Parallel()
	for _, on := range []struct {
		name string
		open func(t *testing.T) api
	}{
		{"the fake", func(*testing.T) api { return kinesisfake.New(kinesisfake.Options{Unlimited: true}) }},
		{"kinesis-local", func(t *testing.T) api { return awstest.Kinesis(t, nil) }},
	} {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			client := on.open(t)
			for i, c := range clauses {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.test(t, stream{client, fmt.Sprintf("clause-%d-%s", i, rand.Text())})
				})
			}
		})
	}
}

func recordsComeBackInOrder(t *testing.T, s stream) {
	s.create(t, 1)
	var last string
	for i := range 8 {
		out := s.put(t, "order-1", fmt.Sprint(i))
		assert.Negative(t, strings.Compare(last, *out.SequenceNumber))
		assert.Len(t, *out.SequenceNumber, 56)
		last = *out.SequenceNumber
	}
	records := s.all(t, s.shards(t)[0])
	require.Len(t, records, 8)
	for i, r := range records {
		assert.Equal(t, fmt.Sprint(i), string(r.Data))
		assert.Equal(t, "order-1", *r.PartitionKey)
		assert.WithinDuration(t, time.Now(), *r.ApproximateArrivalTimestamp, time.Minute)
	}
	assert.Equal(t, last, *records[7].SequenceNumber)
}

func theHashDecides(t *testing.T, s stream) {
	s.create(t, 4)
	shards := s.shards(t)
	require.Len(t, shards, 4)
	for i := range 10 {
		key := fmt.Sprintf("key-%d", i)
		sum := md5.Sum([]byte(key))
		out := s.put(t, key, "")
		assert.Equal(t, covering(t, shards, new(big.Int).SetBytes(sum[:])), *out.ShardId)
	}
	out, err := s.PutRecord(t.Context(), &kinesis.PutRecordInput{
		StreamName: &s.name, PartitionKey: aws.String("any"), ExplicitHashKey: shards[3].HashKeyRange.EndingHashKey, Data: []byte("x"),
	})
	require.NoError(t, err)
	assert.Equal(t, *shards[3].ShardId, *out.ShardId)
}

func iteratorsBeginWhereTheySay(t *testing.T, s stream) {
	s.create(t, 1)
	shard := s.shards(t)[0]
	s.put(t, "k", "0")
	middle := s.put(t, "k", "1")
	s.put(t, "k", "2")
	latest := s.iterator(t, shard, &kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeLatest})
	s.put(t, "k", "3")

	begin := *shard.SequenceNumberRange.StartingSequenceNumber
	for name, c := range map[string]struct {
		iterator string
		want     []string
	}{
		"TRIM_HORIZON":          {s.iterator(t, shard, &kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon}), []string{"0", "1", "2", "3"}},
		"LATEST":                {latest, []string{"3"}},
		"AT_SEQUENCE_NUMBER":    {s.iterator(t, shard, at(types.ShardIteratorTypeAtSequenceNumber, *middle.SequenceNumber)), []string{"1", "2", "3"}},
		"AFTER_SEQUENCE_NUMBER": {s.iterator(t, shard, at(types.ShardIteratorTypeAfterSequenceNumber, *middle.SequenceNumber)), []string{"2", "3"}},
		"at the shard's begin":  {s.iterator(t, shard, at(types.ShardIteratorTypeAtSequenceNumber, begin)), []string{"0", "1", "2", "3"}},
		"AT_TIMESTAMP": {s.iterator(t, shard, &kinesis.GetShardIteratorInput{
			ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: aws.Time(time.Now().Add(-time.Hour)),
		}), []string{"0", "1", "2", "3"}},
	} {
		records, _ := s.readAll(t, c.iterator)
		assert.Equal(t, c.want, texts(records), name)
	}
}

func getRecordsGoesOn(t *testing.T, s stream) {
	s.create(t, 1)
	for i := range 5 {
		s.put(t, "k", fmt.Sprint(i))
	}
	iterator := s.iterator(t, s.shards(t)[0], &kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	for _, want := range [][]string{{"0", "1"}, {"2", "3"}, {"4"}, {}} {
		out, err := s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &iterator, Limit: aws.Int32(2)})
		require.NoError(t, err)
		assert.Equal(t, want, texts(out.Records))
		require.NotNil(t, out.NextShardIterator, "an open shard has no end")
		assert.Empty(t, out.ChildShards)
		if len(want) < 2 {
			assert.Zero(t, *out.MillisBehindLatest)
		}
		iterator = *out.NextShardIterator
	}
	_, err := s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &iterator, Limit: aws.Int32(10_001)})
	requireCode(t, err, "ValidationException", "InvalidArgumentException")
}

func shardsAreListedByPages(t *testing.T, s stream) {
	s.create(t, 3)
	first, err := s.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &s.name, MaxResults: aws.Int32(2)})
	require.NoError(t, err)
	require.Len(t, first.Shards, 2)
	require.NotNil(t, first.NextToken)
	second, err := s.ListShards(t.Context(), &kinesis.ListShardsInput{NextToken: first.NextToken, MaxResults: aws.Int32(2)})
	require.NoError(t, err)
	assert.Nil(t, second.NextToken)
	assert.Equal(t, []string{"shardId-000000000000", "shardId-000000000001", "shardId-000000000002"}, ids(append(first.Shards, second.Shards...)))

	after, err := s.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &s.name, ExclusiveStartShardId: first.Shards[0].ShardId})
	require.NoError(t, err)
	assert.Equal(t, []string{"shardId-000000000001", "shardId-000000000002"}, ids(after.Shards))

	_, err = s.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &s.name, NextToken: first.NextToken})
	requireCode(t, err, "InvalidArgumentException")
}

func filtersChooseShards(t *testing.T, s stream) {
	s.create(t, 1)
	s.split(t, s.shards(t)[0])
	const parent, one, other = "shardId-000000000000", "shardId-000000000001", "shardId-000000000002"
	for _, c := range []struct {
		filter types.ShardFilter
		want   []string
	}{
		{types.ShardFilter{Type: types.ShardFilterTypeAtLatest}, []string{one, other}},
		{types.ShardFilter{Type: types.ShardFilterTypeFromTrimHorizon}, []string{parent, one, other}},
		{types.ShardFilter{Type: types.ShardFilterTypeAfterShardId, ShardId: aws.String(one)}, []string{other}},
		{types.ShardFilter{Type: types.ShardFilterTypeFromTimestamp, Timestamp: aws.Time(time.Now().Add(-time.Hour))}, []string{parent, one, other}},
	} {
		out, err := s.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &s.name, ShardFilter: &c.filter})
		require.NoError(t, err)
		assert.Equal(t, c.want, ids(out.Shards), c.filter.Type)
	}
}

func aSplitShardEnds(t *testing.T, s stream) {
	s.create(t, 1)
	parent := s.shards(t)[0]
	for i := range 3 {
		s.put(t, "k", fmt.Sprint(i))
	}
	s.split(t, parent)
	shards := s.shards(t)
	require.Len(t, shards, 3)
	require.NotNil(t, shards[0].SequenceNumberRange.EndingSequenceNumber, "a closed shard says so")
	for _, child := range shards[1:] {
		assert.Equal(t, *parent.ShardId, *child.ParentShardId)
		assert.Nil(t, child.AdjacentParentShardId)
		assert.Nil(t, child.SequenceNumberRange.EndingSequenceNumber)
	}
	out := s.put(t, "k", "3")
	assert.NotEqual(t, *parent.ShardId, *out.ShardId)

	iterator := s.iterator(t, parent, &kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	records, children := s.readAll(t, iterator)
	assert.Equal(t, []string{"0", "1", "2"}, texts(records))
	require.Len(t, children, 2)
	for i, child := range children {
		assert.Equal(t, *shards[1+i].ShardId, *child.ShardId)
		assert.Equal(t, []string{*parent.ShardId}, child.ParentShards)
		assert.Equal(t, *shards[1+i].HashKeyRange.StartingHashKey, *child.HashKeyRange.StartingHashKey)
	}
	_, err := s.SplitShard(t.Context(), &kinesis.SplitShardInput{
		StreamName: &s.name, ShardToSplit: parent.ShardId, NewStartingHashKey: shards[2].HashKeyRange.StartingHashKey,
	})
	require.Error(t, err, "a closed shard is not split again")
}

func theTipCloses(t *testing.T, s stream) {
	s.create(t, 1)
	parent := s.shards(t)[0]
	s.put(t, "k", "0")
	tip := s.iterator(t, parent, &kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeLatest})
	s.split(t, parent)
	records, children := s.readAll(t, tip)
	assert.Empty(t, records)
	assert.Len(t, children, 2)
}

func aMergedShardHasTwoParents(t *testing.T, s stream) {
	s.create(t, 3)
	shards := s.shards(t)
	_, err := s.MergeShards(t.Context(), &kinesis.MergeShardsInput{StreamName: &s.name, ShardToMerge: shards[0].ShardId, AdjacentShardToMerge: shards[2].ShardId})
	requireCode(t, err, "InvalidArgumentException")

	_, err = s.MergeShards(t.Context(), &kinesis.MergeShardsInput{StreamName: &s.name, ShardToMerge: shards[0].ShardId, AdjacentShardToMerge: shards[1].ShardId})
	require.NoError(t, err)
	s.active(t)
	after := s.shards(t)
	require.Len(t, after, 4)
	child := after[3]
	assert.Equal(t, *shards[0].ShardId, *child.ParentShardId)
	assert.Equal(t, *shards[1].ShardId, *child.AdjacentParentShardId)
	assert.Equal(t, *shards[0].HashKeyRange.StartingHashKey, *child.HashKeyRange.StartingHashKey)
	assert.Equal(t, *shards[1].HashKeyRange.EndingHashKey, *child.HashKeyRange.EndingHashKey)
	for _, parent := range shards[:2] {
		iterator := s.iterator(t, parent, &kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		_, children := s.readAll(t, iterator)
		require.Len(t, children, 1)
		assert.ElementsMatch(t, []string{*shards[0].ShardId, *shards[1].ShardId}, children[0].ParentShards)
	}
}

func updateShardCountCoversAll(t *testing.T, s stream) {
	s.create(t, 2)
	for _, target := range []int32{4, 3} {
		_, err := s.UpdateShardCount(t.Context(), &kinesis.UpdateShardCountInput{
			StreamName: &s.name, TargetShardCount: &target, ScalingType: types.ScalingTypeUniformScaling,
		})
		require.NoError(t, err)
		s.active(t)
		out, err := s.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &s.name, ShardFilter: &types.ShardFilter{Type: types.ShardFilterTypeAtLatest}})
		require.NoError(t, err)
		require.Len(t, out.Shards, int(target))
		for i := range 4 {
			got := s.put(t, fmt.Sprint(i), "")
			assert.Contains(t, ids(out.Shards), *got.ShardId)
		}
	}
}

func putRecordsAnswersByEntry(t *testing.T, s stream) {
	s.create(t, 2)
	shards := s.shards(t)
	in := &kinesis.PutRecordsInput{StreamName: &s.name}
	for i := range 10 {
		in.Records = append(in.Records, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint(i)), Data: []byte{byte('0' + i)}})
	}
	out, err := s.PutRecords(t.Context(), in)
	require.NoError(t, err)
	require.Len(t, out.Records, 10)
	assert.Zero(t, *out.FailedRecordCount)
	at := map[string]types.Record{}
	for _, shard := range shards {
		for _, r := range s.all(t, shard) {
			at[*shard.ShardId+*r.SequenceNumber] = r
		}
	}
	for i, entry := range out.Records {
		assert.Nil(t, entry.ErrorCode)
		assert.Equal(t, fmt.Sprint(i), string(at[*entry.ShardId+*entry.SequenceNumber].Data))
	}
}

func aKeyHas256Characters(t *testing.T, s stream) {
	s.create(t, 1)
	s.put(t, strings.Repeat("k", 256), "x")
	_, err := s.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: &s.name, PartitionKey: aws.String(strings.Repeat("k", 257)), Data: []byte("x")})
	requireCode(t, err, "ValidationException", "InvalidArgumentException")
}

func orderingMustBeANumber(t *testing.T, s stream) {
	s.create(t, 1)
	first := s.put(t, "k", "0")
	_, err := s.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: &s.name, PartitionKey: aws.String("k"), Data: []byte("1"), SequenceNumberForOrdering: first.SequenceNumber})
	require.NoError(t, err)
	_, err = s.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: &s.name, PartitionKey: aws.String("k"), Data: []byte("2"), SequenceNumberForOrdering: aws.String("12")})
	requireCode(t, err, "ValidationException", "InvalidArgumentException")
}

func whatIsNotThere(t *testing.T, s stream) {
	_, err := s.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: &s.name, PartitionKey: aws.String("k"), Data: []byte("x")})
	requireCode(t, err, "ResourceNotFoundException")
	_, err = s.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &s.name})
	requireCode(t, err, "ResourceNotFoundException")
	_, err = s.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &s.name})
	requireCode(t, err, "ResourceNotFoundException")

	s.create(t, 1)
	_, err = s.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{
		StreamName: &s.name, ShardId: aws.String("shardId-000000000009"), ShardIteratorType: types.ShardIteratorTypeTrimHorizon,
	})
	requireCode(t, err, "ResourceNotFoundException")
}

func aNameIsTakenOnce(t *testing.T, s stream) {
	s.create(t, 1)
	_, err := s.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &s.name, ShardCount: aws.Int32(1)})
	requireCode(t, err, "ResourceInUseException")
}

func retentionOnlyGrows(t *testing.T, s stream) {
	s.create(t, 1)
	for hours, ok := range map[int32]bool{8760: true, 8761: false} {
		_, err := s.IncreaseStreamRetentionPeriod(t.Context(), &kinesis.IncreaseStreamRetentionPeriodInput{StreamName: &s.name, RetentionPeriodHours: &hours})
		if !ok {
			requireCode(t, err, "ValidationException", "InvalidArgumentException")
			continue
		}
		require.NoError(t, err)
	}
	out, err := s.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &s.name})
	require.NoError(t, err)
	assert.Equal(t, int32(8760), *out.StreamDescriptionSummary.RetentionPeriodHours)
}

// requireCode: the service and its emulator do not always agree on which of two.
func requireCode(t *testing.T, err error, codes ...string) {
	t.Helper()
	var api smithy.APIError
	require.ErrorAs(t, err, &api)
	require.Contains(t, codes, api.ErrorCode())
}
