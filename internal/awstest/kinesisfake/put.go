package kinesisfake

import (
	"context"
	"errors"
	"math/big"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/smithy-go"

	"github.com/leftfold/leftfold/internal/awstest/fault"
)

// PutRecord puts one record.
func (f *Fake) PutRecord(ctx context.Context, in *kinesis.PutRecordInput, _ ...func(*kinesis.Options)) (*kinesis.PutRecordOutput, error) {
	return call(ctx, f, "PutRecord", func(now time.Time, _ fault.Kind) (*kinesis.PutRecordOutput, error) {
		s, err := f.find(in.StreamName, in.StreamARN)
		if err != nil {
			return nil, err
		}
		if before := in.SequenceNumberForOrdering; before != nil {
			if n, ok := parseNumber(*before); !ok || n > f.sequence {
				return nil, invalid("SequenceNumberForOrdering %s is none of this stream", *before)
			}
		}
		sh, sequence, err := f.put(s, now, in.PartitionKey, in.ExplicitHashKey, in.Data)
		if err != nil {
			return nil, err
		}
		return &kinesis.PutRecordOutput{
			ShardId: aws.String(sh.id), SequenceNumber: aws.String(number(sequence)), EncryptionType: types.EncryptionTypeNone,
		}, nil
	})
}

// PutRecords puts each record by itself: some may be refused. It promises no order, and the
// fake takes the last one first, so that nobody relies on one.
func (f *Fake) PutRecords(ctx context.Context, in *kinesis.PutRecordsInput, _ ...func(*kinesis.Options)) (*kinesis.PutRecordsOutput, error) {
	return call(ctx, f, "PutRecords", func(now time.Time, kind fault.Kind) (*kinesis.PutRecordsOutput, error) {
		s, err := f.find(in.StreamName, in.StreamARN)
		if err != nil {
			return nil, err
		}
		if err := checkBatch(in.Records); err != nil {
			return nil, err
		}
		out := &kinesis.PutRecordsOutput{
			Records: make([]types.PutRecordsResultEntry, len(in.Records)), FailedRecordCount: aws.Int32(0), EncryptionType: types.EncryptionTypeNone,
		}
		for i := len(in.Records) - 1; i >= 0; i-- {
			out.Records[i], err = f.putEntry(s, now, in.Records[i], kind == fault.Partial && i%2 == 1)
			if err != nil {
				return nil, err
			}
			if out.Records[i].ErrorCode != nil {
				*out.FailedRecordCount++
			}
		}
		return out, nil
	})
}

// putEntry refuses a record by a word in its entry.
func (f *Fake) putEntry(s *stream, now time.Time, entry types.PutRecordsRequestEntry, refuse bool) (types.PutRecordsResultEntry, error) {
	var sh *shard
	var sequence int64
	err := throttled("a planned fault")
	if !refuse {
		sh, sequence, err = f.put(s, now, entry.PartitionKey, entry.ExplicitHashKey, entry.Data)
	}
	var exceeded *types.ProvisionedThroughputExceededException
	switch {
	case errors.As(err, &exceeded):
		return types.PutRecordsResultEntry{ErrorCode: aws.String(code(err)), ErrorMessage: exceeded.Message}, nil
	case err != nil:
		return types.PutRecordsResultEntry{}, err
	}
	return types.PutRecordsResultEntry{ShardId: aws.String(sh.id), SequenceNumber: aws.String(number(sequence))}, nil
}

func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// checkBatch refuses a whole call: all its records are checked before the first is put.
func checkBatch(records []types.PutRecordsRequestEntry) error {
	if len(records) == 0 || len(records) > longestPut {
		return malformed("%d records, not 1 to %d", len(records), longestPut)
	}
	size := 0
	for _, r := range records {
		if err := checkRecord(r.PartitionKey, r.Data); err != nil {
			return err
		}
		size += len(r.Data) + len(aws.ToString(r.PartitionKey))
	}
	if size > largestPut {
		return invalid("records of %d bytes: %d at most", size, largestPut)
	}
	return nil
}

func checkRecord(partitionKey *string, data []byte) error {
	key := aws.ToString(partitionKey)
	if n := utf8.RuneCountInString(key); n < 1 || n > longestKey {
		return malformed("a partition key of %d characters, not 1 to %d", n, longestKey)
	}
	if size := len(data) + len(key); size > largestRecord {
		return malformed("a record of %d bytes with its key: %d at most", size, largestRecord)
	}
	return nil
}

// put adds a record to the open shard that its key falls into.
func (f *Fake) put(s *stream, now time.Time, partitionKey, explicit *string, data []byte) (*shard, int64, error) {
	if err := checkRecord(partitionKey, data); err != nil {
		return nil, 0, err
	}
	key := hashKey(*partitionKey)
	if explicit != nil {
		if _, ok := key.SetString(*explicit, 10); !ok || key.Sign() < 0 || key.Cmp(highest) > 0 {
			return nil, 0, invalid("ExplicitHashKey %s is not from 0 to 2^128-1", *explicit)
		}
	}
	sh := s.place(key)
	if !f.options.Unlimited {
		if err := sh.limits.write(now, len(data)+len(*partitionKey)); err != nil {
			return nil, 0, err
		}
	}
	r := record{sequence: f.next(), arrived: now, key: *partitionKey, data: append([]byte{}, data...)}
	sh.records = append(sh.records, r)
	f.wake()
	return sh, r.sequence, nil
}

func (s *stream) place(key *big.Int) *shard {
	open := s.openShards()
	if s.distribution == types.RecordDistributionStrategyAuto {
		s.puts++
		return open[s.puts%len(open)]
	}
	for _, sh := range open {
		if sh.covers(key) {
			return sh
		}
	}
	panic("kinesisfake: the open shards leave out " + key.String())
}
