package kinesisfake

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/internal/awstest/fault"
)

const arnOfStreams = "arn:aws:kinesis:eu-west-1:000000000000:stream/"

type stream struct {
	name         string
	created      time.Time
	mode         types.StreamMode
	distribution types.RecordDistributionStrategy
	retention    time.Duration
	shards       []*shard // in the order of their ids
	made         int      // shards so far, those that are gone included
	puts         int      // for AUTO, which deals records out in turn
	consumers    []*consumer
}

// onDemandShards is how many shards a stream on demand begins with.
const onDemandShards = 4

// CreateStream makes a stream that can be used at once.
func (f *Fake) CreateStream(ctx context.Context, in *kinesis.CreateStreamInput, _ ...func(*kinesis.Options)) (*kinesis.CreateStreamOutput, error) {
	return call(ctx, f, "CreateStream", func(now time.Time, _ fault.Kind) (*kinesis.CreateStreamOutput, error) {
		name := aws.ToString(in.StreamName)
		if _, taken := f.streams[name]; taken {
			return nil, inUse("stream %s exists", name)
		}
		s := &stream{
			name: name, created: now, retention: firstRetention, mode: types.StreamModeProvisioned,
			distribution: cmp.Or(in.RecordDistributionStrategy, types.RecordDistributionStrategyUserPartitionKey),
		}
		if in.StreamModeDetails != nil {
			s.mode = in.StreamModeDetails.StreamMode
		}
		count := int(aws.ToInt32(in.ShardCount))
		if s.mode == types.StreamModeOnDemand {
			count = cmp.Or(count, onDemandShards)
		}
		if name == "" || count < 1 {
			return nil, malformed("a stream needs a name and at least one shard")
		}
		for i := range count {
			f.open(s, now, bound(i, count), previous(bound(i+1, count)), "", "")
		}
		f.streams[name] = s
		return &kinesis.CreateStreamOutput{}, nil
	})
}

// DeleteStream removes a stream, at once, with all that is in it.
func (f *Fake) DeleteStream(ctx context.Context, in *kinesis.DeleteStreamInput, _ ...func(*kinesis.Options)) (*kinesis.DeleteStreamOutput, error) {
	return call(ctx, f, "DeleteStream", func(time.Time, fault.Kind) (*kinesis.DeleteStreamOutput, error) {
		s, err := f.find(in.StreamName, in.StreamARN)
		if err != nil {
			return nil, err
		}
		delete(f.streams, s.name)
		return &kinesis.DeleteStreamOutput{}, nil
	})
}

// bound is where the i-th of count even parts of the hash keys begins.
func bound(i, count int) *big.Int {
	all := new(big.Int).Add(highest, big.NewInt(1))
	return all.Mul(all, big.NewInt(int64(i))).Div(all, big.NewInt(int64(count)))
}

func previous(n *big.Int) *big.Int { return new(big.Int).Sub(n, big.NewInt(1)) }

// open adds a shard. Its sequence numbers begin above all that were given.
func (f *Fake) open(s *stream, now time.Time, low, high *big.Int, parent, adjacent string) *shard {
	opened := &shard{
		id:  fmt.Sprintf("shardId-%012d", s.made),
		low: low, high: high, parent: parent, adjacent: adjacent, opened: now, first: f.next(),
	}
	s.made++
	s.shards = append(s.shards, opened)
	return opened
}

// next gives a sequence number. They have holes, as the service's have.
func (f *Fake) next() int64 {
	f.sequence += 16
	return f.sequence
}

// DescribeStreamSummary tells the mode, the retention and how many shards are open.
func (f *Fake) DescribeStreamSummary(ctx context.Context, in *kinesis.DescribeStreamSummaryInput, _ ...func(*kinesis.Options)) (*kinesis.DescribeStreamSummaryOutput, error) {
	return call(ctx, f, "DescribeStreamSummary", func(time.Time, fault.Kind) (*kinesis.DescribeStreamSummaryOutput, error) {
		s, err := f.find(in.StreamName, in.StreamARN)
		if err != nil {
			return nil, err
		}
		return &kinesis.DescribeStreamSummaryOutput{StreamDescriptionSummary: &types.StreamDescriptionSummary{
			StreamName:                 aws.String(s.name),
			StreamARN:                  aws.String(arnOfStreams + s.name),
			StreamStatus:               types.StreamStatusActive,
			StreamCreationTimestamp:    aws.Time(s.created),
			StreamModeDetails:          &types.StreamModeDetails{StreamMode: s.mode},
			RecordDistributionStrategy: s.distribution,
			RetentionPeriodHours:       aws.Int32(int32(s.retention / time.Hour)),
			OpenShardCount:             aws.Int32(int32(len(s.openShards()))),
			ConsumerCount:              aws.Int32(int32(len(s.consumers))),
			MaxRecordSizeInKiB:         aws.Int32(largestRecord / kib),
			EncryptionType:             types.EncryptionTypeNone,
			EnhancedMonitoring:         []types.EnhancedMetrics{{}},
		}}, nil
	})
}

// IncreaseStreamRetentionPeriod lets records live longer, at most 8760 hours.
func (f *Fake) IncreaseStreamRetentionPeriod(ctx context.Context, in *kinesis.IncreaseStreamRetentionPeriodInput, _ ...func(*kinesis.Options)) (*kinesis.IncreaseStreamRetentionPeriodOutput, error) {
	return call(ctx, f, "IncreaseStreamRetentionPeriod", func(time.Time, fault.Kind) (*kinesis.IncreaseStreamRetentionPeriodOutput, error) {
		s, err := f.find(in.StreamName, in.StreamARN)
		if err != nil {
			return nil, err
		}
		wanted := time.Duration(aws.ToInt32(in.RetentionPeriodHours)) * time.Hour
		if wanted < s.retention || wanted > lastRetention {
			return nil, invalid("a retention of %v is not between the present %v and %v", wanted, s.retention, lastRetention)
		}
		s.retention = wanted
		return &kinesis.IncreaseStreamRetentionPeriodOutput{}, nil
	})
}

// UpdateStreamRecordDistributionStrategy decides whether partition keys are heeded.
func (f *Fake) UpdateStreamRecordDistributionStrategy(ctx context.Context, in *kinesis.UpdateStreamRecordDistributionStrategyInput, _ ...func(*kinesis.Options)) (*kinesis.UpdateStreamRecordDistributionStrategyOutput, error) {
	return call(ctx, f, "UpdateStreamRecordDistributionStrategy", func(time.Time, fault.Kind) (*kinesis.UpdateStreamRecordDistributionStrategyOutput, error) {
		s, err := f.find(nil, in.StreamARN)
		if err != nil {
			return nil, err
		}
		s.distribution = in.RecordDistributionStrategy
		return &kinesis.UpdateStreamRecordDistributionStrategyOutput{}, nil
	})
}

func (f *Fake) find(name, arn *string) (*stream, error) {
	wanted := cmp.Or(aws.ToString(name), strings.TrimPrefix(aws.ToString(arn), arnOfStreams))
	if s, ok := f.streams[wanted]; ok {
		return s, nil
	}
	return nil, notFound("stream %s not found", wanted)
}

func (s *stream) openShards() []*shard {
	return slices.DeleteFunc(slices.Clone(s.shards), func(sh *shard) bool { return !sh.isOpen() })
}

// shard returns an existing shard: one that was closed for longer than records live is gone.
func (s *stream) shard(id *string) (*shard, error) {
	for _, sh := range s.shards {
		if sh.id == aws.ToString(id) {
			return sh, nil
		}
	}
	return nil, notFound("shard %s not found in stream %s", aws.ToString(id), s.name)
}

// trim drops what is older than the retention.
func (s *stream) trim(now time.Time) {
	horizon := now.Add(-s.retention)
	for _, sh := range s.shards {
		sh.trim(horizon)
	}
	s.shards = slices.DeleteFunc(s.shards, func(sh *shard) bool { return !sh.isOpen() && sh.closed.Before(horizon) })
}
