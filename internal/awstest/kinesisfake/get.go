package kinesisfake

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/internal/awstest/fault"
)

// GetRecords reads on from an iterator. It may give fewer records than there are.
func (f *Fake) GetRecords(ctx context.Context, in *kinesis.GetRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error) {
	return call(ctx, f, "GetRecords", func(now time.Time, kind fault.Kind) (*kinesis.GetRecordsOutput, error) {
		it, err := parseIterator(in.ShardIterator)
		if err != nil {
			return nil, err
		}
		if kind == fault.ExpiredIterator || now.Sub(it.Made) > iteratorLives {
			return nil, expired("the iterator was made at %v, more than %v ago", it.Made, iteratorLives)
		}
		limit := longestGet
		if in.Limit != nil {
			limit = int(*in.Limit)
		}
		if limit < 1 || limit > longestGet {
			return nil, malformed("a Limit of %d, not 1 to %d", limit, longestGet)
		}
		s, err := f.find(&it.Stream, nil)
		if err != nil {
			return nil, err
		}
		if !it.Created.Equal(s.created) {
			return nil, invalid("the iterator is of an earlier stream of the name %s", it.Stream)
		}
		sh, err := s.shard(&it.Shard)
		if err != nil {
			return nil, err
		}
		if kind == fault.Empty {
			limit = 0
		}
		return f.read(sh, it, now, limit)
	})
}

func (f *Fake) read(sh *shard, it iterator, now time.Time, limit int) (*kinesis.GetRecordsOutput, error) {
	if !f.options.Unlimited {
		if err := sh.limits.beforeRead(now); err != nil {
			return nil, err
		}
	}
	records, size := sh.take(it.Next, limit, largestGet)
	sh.limits.afterRead(now, size)
	if len(records) > 0 {
		it.Next = records[len(records)-1].sequence + 1
	}
	out := &kinesis.GetRecordsOutput{Records: []types.Record{}, MillisBehindLatest: aws.Int64(sh.behind(it.Next, now))}
	for _, r := range records {
		out.Records = append(out.Records, r.answer())
	}
	if len(records) == 0 && limit > 0 && !sh.isOpen() {
		out.ChildShards = sh.childShards()
		return out, nil
	}
	it.Made = now
	out.NextShardIterator = aws.String(it.String())
	return out, nil
}

// take returns the records from a sequence number on, within both limits.
func (s *shard) take(from int64, limit, bytes int) ([]record, int) {
	left := s.records[s.from(from):]
	n, size := 0, 0
	for n < min(limit, len(left)) && size+left[n].size() <= bytes {
		size += left[n].size()
		n++
	}
	return left[:n], size
}

// behind is the age of the next record in milliseconds, 0 at the tip.
func (s *shard) behind(next int64, now time.Time) int64 {
	i := s.from(next)
	if i == len(s.records) {
		return 0
	}
	return max(1, now.Sub(s.records[i].arrived).Milliseconds())
}
