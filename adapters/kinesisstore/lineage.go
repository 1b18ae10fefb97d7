package kinesisstore

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
)

// parentsOf returns the shards that a shard came out of, which may be gone. It asks for the shard and those behind it:
// a list of all would be long on a stream that was resharded often.
func parentsOf(ctx context.Context, api consumer.API, stream, shard string) ([]string, error) {
	in := &kinesis.ListShardsInput{StreamName: &stream}
	for {
		out, err := api.ListShards(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("list the shards of %s: %w", stream, err)
		}
		for _, s := range out.Shards {
			if *s.ShardId != shard {
				continue
			}
			var parents []string
			for _, parent := range []*string{s.ParentShardId, s.AdjacentParentShardId} {
				if parent != nil {
					parents = append(parents, *parent)
				}
			}
			return parents, nil
		}
		if out.NextToken == nil {
			return nil, fmt.Errorf("%w: the stream has no shard %s any more", ErrTrimmed, shard)
		}
		in = &kinesis.ListShardsInput{NextToken: out.NextToken}
	}
}
