package kinesisfake

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/internal/awstest/fault"
)

// iterator is a place in a shard, as the caller holds it.
type iterator struct {
	Stream, Shard string

	Created time.Time // the stream was
	Next    int64     // the sequence number of the next record, or below it
	Made    time.Time // it expires 300 s later
}

func (i iterator) String() string {
	text, err := json.Marshal(i)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(text)
}

func parseIterator(s *string) (iterator, error) {
	var i iterator
	text, err := base64.StdEncoding.DecodeString(aws.ToString(s))
	if err == nil {
		err = json.Unmarshal(text, &i)
	}
	if err != nil {
		return i, invalid("invalid ShardIterator")
	}
	return i, nil
}

// GetShardIterator returns a place in a shard.
func (f *Fake) GetShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput, _ ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error) {
	return call(ctx, f, "GetShardIterator", func(now time.Time, _ fault.Kind) (*kinesis.GetShardIteratorOutput, error) {
		s, err := f.find(in.StreamName, in.StreamARN)
		if err != nil {
			return nil, err
		}
		sh, err := s.shard(in.ShardId)
		if err != nil {
			return nil, err
		}
		if !f.options.Unlimited {
			if err := sh.limits.iterator(now); err != nil {
				return nil, err
			}
		}
		next, err := f.startingPlace(sh, now, in.ShardIteratorType, in.StartingSequenceNumber, in.Timestamp)
		if err != nil {
			return nil, err
		}
		it := iterator{Stream: s.name, Created: s.created, Shard: sh.id, Next: next, Made: now}
		return &kinesis.GetShardIteratorOutput{ShardIterator: aws.String(it.String())}, nil
	})
}

// startingPlace returns the sequence number from which to read.
func (f *Fake) startingPlace(sh *shard, now time.Time, kind types.ShardIteratorType, sequence *string, at *time.Time) (int64, error) {
	switch kind {
	case types.ShardIteratorTypeTrimHorizon:
		return sh.first, nil
	case types.ShardIteratorTypeLatest:
		return f.sequence + 1, nil
	case types.ShardIteratorTypeAtTimestamp:
		return f.placeAt(sh, now, at)
	case types.ShardIteratorTypeAtSequenceNumber, types.ShardIteratorTypeAfterSequenceNumber:
		n, ok := parseNumber(aws.ToString(sequence))
		if !ok || n < sh.first || n > f.sequence || !sh.isOpen() && n > sh.last {
			return 0, invalid("StartingSequenceNumber %s is invalid because it did not come from shard %s", aws.ToString(sequence), sh.id)
		}
		if kind == types.ShardIteratorTypeAfterSequenceNumber {
			n++
		}
		return n, nil
	default:
		return 0, malformed("ShardIteratorType %q", kind)
	}
}

func (f *Fake) placeAt(sh *shard, now time.Time, at *time.Time) (int64, error) {
	if at == nil || at.After(now) {
		return 0, invalid("AT_TIMESTAMP needs a Timestamp that is not in the future")
	}
	if i := sh.since(*at); i < len(sh.records) {
		return sh.records[i].sequence, nil
	}
	return f.sequence + 1, nil
}
