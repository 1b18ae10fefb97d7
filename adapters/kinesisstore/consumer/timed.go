package consumer

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// answered is how long a call of Kinesis may take, with what the SDK repeats of it. A worker goes on renewing its leases,
// so nobody would come to the aid of a shard whose read hangs on a dead connection.
const answered = time.Minute

// timed is Kinesis with an end to each call.
type timed struct{ API }

func within[In, Out any](ctx context.Context, call func(context.Context, *In, ...func(*kinesis.Options)) (*Out, error), in *In, o []func(*kinesis.Options)) (*Out, error) {
	ctx, cancel := context.WithTimeout(ctx, answered)
	defer cancel()
	return call(ctx, in, o...)
}

func (t timed) DescribeStreamSummary(ctx context.Context, in *kinesis.DescribeStreamSummaryInput, o ...func(*kinesis.Options)) (*kinesis.DescribeStreamSummaryOutput, error) {
	return within(ctx, t.API.DescribeStreamSummary, in, o)
}

func (t timed) ListShards(ctx context.Context, in *kinesis.ListShardsInput, o ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error) {
	return within(ctx, t.API.ListShards, in, o)
}

func (t timed) GetShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput, o ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	return within(ctx, t.API.GetShardIterator, in, o)
}

func (t timed) GetRecords(ctx context.Context, in *kinesis.GetRecordsInput, o ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	return within(ctx, t.API.GetRecords, in, o)
}
