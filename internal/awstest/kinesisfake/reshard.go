package kinesisfake

import (
	"context"
	"math/big"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/internal/awstest/fault"
)

// SplitShard closes a shard and opens two in its place.
func (f *Fake) SplitShard(ctx context.Context, in *kinesis.SplitShardInput, _ ...func(*kinesis.Options)) (*kinesis.SplitShardOutput, error) {
	return call(ctx, f, "SplitShard", func(now time.Time, _ fault.Kind) (*kinesis.SplitShardOutput, error) {
		s, err := f.provisioned(in.StreamName, in.StreamARN)
		if err != nil {
			return nil, err
		}
		sh, err := s.openShard(in.ShardToSplit)
		if err != nil {
			return nil, err
		}
		at, ok := new(big.Int).SetString(aws.ToString(in.NewStartingHashKey), 10)
		if !ok || at.Cmp(sh.low) <= 0 || at.Cmp(sh.high) > 0 {
			return nil, invalid("NewStartingHashKey %s is not inside shard %s", aws.ToString(in.NewStartingHashKey), sh.id)
		}
		f.split(s, sh, at, now)
		return &kinesis.SplitShardOutput{}, nil
	})
}

// MergeShards closes two neighbours and opens one in their place.
func (f *Fake) MergeShards(ctx context.Context, in *kinesis.MergeShardsInput, _ ...func(*kinesis.Options)) (*kinesis.MergeShardsOutput, error) {
	return call(ctx, f, "MergeShards", func(now time.Time, _ fault.Kind) (*kinesis.MergeShardsOutput, error) {
		s, err := f.provisioned(in.StreamName, in.StreamARN)
		if err != nil {
			return nil, err
		}
		one, err := s.openShard(in.ShardToMerge)
		if err != nil {
			return nil, err
		}
		other, err := s.openShard(in.AdjacentShardToMerge)
		if err != nil {
			return nil, err
		}
		if previous(other.low).Cmp(one.high) != 0 && previous(one.low).Cmp(other.high) != 0 {
			return nil, invalid("shards %s and %s are no neighbours", one.id, other.id)
		}
		f.merge(s, one, other, now)
		return &kinesis.MergeShardsOutput{}, nil
	})
}

// UpdateShardCount splits and merges until the open shards are even parts: first it splits
// where a new shard begins, then it merges what lies between.
func (f *Fake) UpdateShardCount(ctx context.Context, in *kinesis.UpdateShardCountInput, _ ...func(*kinesis.Options)) (*kinesis.UpdateShardCountOutput, error) {
	return call(ctx, f, "UpdateShardCount", func(now time.Time, _ fault.Kind) (*kinesis.UpdateShardCountOutput, error) {
		s, err := f.provisioned(in.StreamName, in.StreamARN)
		if err != nil {
			return nil, err
		}
		before, target := len(s.openShards()), int(aws.ToInt32(in.TargetShardCount))
		if target < 1 || target > 2*before || 2*target < before {
			return nil, invalid("TargetShardCount %d: at least half and at most twice of %d", target, before)
		}
		f.even(s, target, now)
		return &kinesis.UpdateShardCountOutput{
			StreamName: aws.String(s.name), StreamARN: aws.String(arnOfStreams + s.name),
			CurrentShardCount: aws.Int32(int32(before)), TargetShardCount: aws.Int32(int32(target)),
		}, nil
	})
}

func (f *Fake) even(s *stream, target int, now time.Time) {
	for i := range target {
		begin := bound(i, target)
		for _, sh := range s.openShards() {
			if sh.low.Cmp(begin) < 0 && sh.covers(begin) {
				f.split(s, sh, begin, now)
			}
		}
	}
	for i := range target {
		parts := slices.DeleteFunc(s.openShards(), func(sh *shard) bool {
			return sh.low.Cmp(bound(i, target)) < 0 || sh.low.Cmp(bound(i+1, target)) >= 0
		})
		slices.SortFunc(parts, func(a, b *shard) int { return a.low.Cmp(b.low) })
		whole := parts[0]
		for _, part := range parts[1:] {
			whole = f.merge(s, whole, part, now)
		}
	}
}

func (f *Fake) split(s *stream, sh *shard, at *big.Int, now time.Time) {
	f.shut(sh, now)
	sh.children = []*shard{
		f.open(s, now, sh.low, previous(at), sh.id, ""),
		f.open(s, now, at, sh.high, sh.id, ""),
	}
	f.wake()
}

func (f *Fake) merge(s *stream, one, other *shard, now time.Time) *shard {
	f.shut(one, now)
	f.shut(other, now)
	low, high := one.low, other.high
	if other.low.Cmp(low) < 0 {
		low, high = other.low, one.high
	}
	child := f.open(s, now, low, high, one.id, other.id)
	one.children, other.children = []*shard{child}, []*shard{child}
	f.wake()
	return child
}

// shut closes a shard. Its last sequence number is none of a record's.
func (f *Fake) shut(sh *shard, now time.Time) {
	sh.closed, sh.last = now, f.next()
}

// provisioned returns a stream that is resharded by hand.
func (f *Fake) provisioned(name, arn *string) (*stream, error) {
	s, err := f.find(name, arn)
	if err == nil && s.mode != types.StreamModeProvisioned {
		err = malformed("stream %s is on demand and reshards itself", s.name)
	}
	return s, err
}

func (s *stream) openShard(id *string) (*shard, error) {
	sh, err := s.shard(id)
	if err == nil && !sh.isOpen() {
		err = inUse("shard %s is closed", sh.id)
	}
	return sh, err
}
