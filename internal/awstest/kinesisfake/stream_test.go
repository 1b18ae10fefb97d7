package kinesisfake_test

import (
	"math/big"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/stretchr/testify/require"
)

// stream is one stream of a fake or of an emulator.
type stream struct {
	api

	name string
}

func (s stream) create(t *testing.T, shards int32) {
	t.Helper()
	_, err := s.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &s.name, ShardCount: &shards})
	require.NoError(t, err)
	s.active(t)
}

// active waits until a change of the stream is done.
func (s stream) active(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		out, err := s.DescribeStreamSummary(t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &s.name})
		return err == nil && out.StreamDescriptionSummary.StreamStatus == types.StreamStatusActive
	}, 30*time.Second, 10*time.Millisecond)
}

func (s stream) put(t *testing.T, key, data string) *kinesis.PutRecordOutput {
	t.Helper()
	out, err := s.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: &s.name, PartitionKey: &key, Data: []byte(data)})
	require.NoError(t, err)
	return out
}

func (s stream) shards(t *testing.T) []types.Shard {
	t.Helper()
	out, err := s.ListShards(t.Context(), &kinesis.ListShardsInput{StreamName: &s.name})
	require.NoError(t, err)
	return out.Shards
}

// split splits a shard in the middle.
func (s stream) split(t *testing.T, shard types.Shard) {
	t.Helper()
	low, high := integer(t, shard.HashKeyRange.StartingHashKey), integer(t, shard.HashKeyRange.EndingHashKey)
	middle := new(big.Int).Rsh(new(big.Int).Add(low, high), 1)
	_, err := s.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: &s.name, ShardToSplit: shard.ShardId, NewStartingHashKey: aws.String(middle.String())})
	require.NoError(t, err)
	s.active(t)
}

func (s stream) iterator(t *testing.T, shard types.Shard, in *kinesis.GetShardIteratorInput) string {
	t.Helper()
	asked := *in
	asked.StreamName, asked.ShardId = &s.name, shard.ShardId
	out, err := s.GetShardIterator(t.Context(), &asked)
	require.NoError(t, err)
	return *out.ShardIterator
}

func at(kind types.ShardIteratorType, sequence string) *kinesis.GetShardIteratorInput {
	return &kinesis.GetShardIteratorInput{ShardIteratorType: kind, StartingSequenceNumber: &sequence}
}

// all returns a shard's records from the oldest on.
func (s stream) all(t *testing.T, shard types.Shard) []types.Record {
	t.Helper()
	records, _ := s.readAll(t, s.iterator(t, shard, &kinesis.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon}))
	return records
}

// readAll reads to the tip of an open shard or the end of a closed one.
func (s stream) readAll(t *testing.T, iterator string) ([]types.Record, []types.ChildShard) {
	t.Helper()
	var records []types.Record
	for {
		out, err := s.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: &iterator})
		require.NoError(t, err)
		records = append(records, out.Records...)
		if out.NextShardIterator == nil || len(out.Records) == 0 && *out.MillisBehindLatest == 0 {
			return records, out.ChildShards
		}
		iterator = *out.NextShardIterator
	}
}

func covering(t *testing.T, shards []types.Shard, key *big.Int) string {
	t.Helper()
	for _, sh := range shards {
		if integer(t, sh.HashKeyRange.StartingHashKey).Cmp(key) <= 0 && key.Cmp(integer(t, sh.HashKeyRange.EndingHashKey)) <= 0 {
			return *sh.ShardId
		}
	}
	t.Fatal("no shard covers", key)
	return ""
}

func integer(t *testing.T, s *string) *big.Int {
	t.Helper()
	n, ok := new(big.Int).SetString(*s, 10)
	require.True(t, ok, *s)
	return n
}

func texts(records []types.Record) []string {
	out := []string{}
	for _, r := range records {
		out = append(out, string(r.Data))
	}
	return out
}

func ids(shards []types.Shard) []string {
	out := []string{}
	for _, sh := range shards {
		out = append(out, *sh.ShardId)
	}
	return out
}
