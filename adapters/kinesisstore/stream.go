package kinesisstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
)

// API is what the store calls of Kinesis; *kinesis.Client has it.
type API interface {
	consumer.API
	PutRecord(ctx context.Context, in *kinesis.PutRecordInput, o ...func(*kinesis.Options)) (*kinesis.PutRecordOutput, error)
}

// Stream is a stream of Kinesis, and which one of that name.
type Stream struct {
	Name      string
	ARN       string
	CreatedAt time.Time

	// Retention is for how long it keeps records, when it was described.
	Retention time.Duration
	// RecordBytes is the most that a record may have, its partition key included.
	RecordBytes int
}

// life tells the stream from every other one, and from an earlier one of the same name, whose records and
// sequence numbers are gone.
func (s Stream) life() string { return s.ARN + " created at " + s.CreatedAt.UTC().Format(time.RFC3339) }

// Describe asks Kinesis what the stream is. One that does not keep the records of a partition key together
// is [ErrPartitionKeys].
func Describe(ctx context.Context, client consumer.API, name string) (Stream, error) {
	out, err := client.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &name})
	if err != nil {
		return Stream{}, fmt.Errorf("describe stream %s: %w", name, err)
	}
	d := out.StreamDescriptionSummary
	if d == nil || d.StreamARN == nil || d.StreamCreationTimestamp == nil || d.RetentionPeriodHours == nil {
		return Stream{}, fmt.Errorf("describe stream %s: %w", name, errors.New("the answer lacks its ARN, its time of creation or its retention"))
	}
	if d.RecordDistributionStrategy == types.RecordDistributionStrategyAuto {
		return Stream{}, fmt.Errorf("stream %s: %w", name, ErrPartitionKeys)
	}
	s := Stream{
		Name: name, ARN: *d.StreamARN, CreatedAt: *d.StreamCreationTimestamp,
		Retention: time.Duration(*d.RetentionPeriodHours) * time.Hour, RecordBytes: maxRecordBytes,
	}
	if d.MaxRecordSizeInKiB != nil && *d.MaxRecordSizeInKiB > 0 {
		s.RecordBytes = int(*d.MaxRecordSizeInKiB) << 10
	}
	return s, nil
}

// same refuses the stream if it is not the other one any more.
func (s Stream) same(o Stream) error {
	if s.life() != o.life() {
		return fmt.Errorf("%w: it is of %s, and there is %s", ErrOtherStream, s.life(), o.life())
	}
	return nil
}
