package lambdaapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
)

// Shards is what [Kinesis] calls of the service; *kinesis.Client has it.
type Shards interface {
	GetShardIterator(ctx context.Context, in *kinesis.GetShardIteratorInput, o ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error)
	GetRecords(ctx context.Context, in *kinesis.GetRecordsInput, o ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error)
}

// ErrGap says that a batch does not hold the records which follow the checkpoint in the shard. Nothing
// has been taken in. Lambda has given up on records (MaximumRetryAttempts, MaximumRecordAgeInSeconds), leaves
// some out (FilterCriteria), began elsewhere (StartingPosition), hands out a shard to several at once
// (ParallelizationFactor), or the stream has forgotten them. Mend the mapping; then make a new one
// that starts at TRIM_HORIZON: what has been taken in is dropped.
//
// If the shard has the record of the checkpoint no more, nothing shows whether it has forgotten others behind
// it: a shard that was quiet for longer than the stream's retention looks the same. So let the retention be longer
// than a shard may be quiet, or than the mapping may stand still. Where you know that nothing came in between, or have
// restored it from elsewhere, delete the shard's checkpoint: what the stream still has is all newer.
var ErrGap = errors.New("records are missing between the checkpoint and this batch")

// KinesisOptions are those of [Kinesis]. The zero value works.
type KinesisOptions struct {
	// Logger gets why a batch was not taken in to its end. Default: slog.Default().
	Logger *slog.Logger
}

// Kinesis returns the Lambda function of an event source mapping, which gives the records of a stream to
// the target, each once, as the consumer in a container does. The two may take turns on one target.
//
// The checkpoint is the target's. Records up to it are dropped: a batch that is given again changes
// nothing. The others are taken in if they are what follows the checkpoint in the shard, which
// the shard is asked: else [ErrGap]. That reads every record a second time, and is what makes
// it safe to have set the mapping up wrongly. If they cannot be taken in together they are
// one by one, up to the first that fails. Its sequence number goes back, and Lambda gives it and what follows again.
//
// The mapping needs FunctionResponseTypes: [ReportBatchItemFailures], without which Lambda does not read
// that number; StartingPosition: TRIM_HORIZON; and MaximumRetryAttempts: -1, MaximumRecordAgeInSeconds: -1, a
// ParallelizationFactor of 1 and no filter, or its batches will be refused some day. A record that fails for ever
// therefore holds up its shard until it is mended or the target parks it. The function needs
// kinesis:GetShardIterator and kinesis:GetRecords.
//
// Lambda gives a shard's records after those of its parents. When a parent's last records were
// lost, a target can only tell by the versions in the records, as that of a Kinesis store does.
//
// An error means that nothing is known of the batch: the checkpoint could not be read, or ErrGap.
func Kinesis(shards Shards, target consumer.Target, options KinesisOptions) func(context.Context, events.KinesisEvent) (events.KinesisEventResponse, error) {
	k := &mapping{shards, target, loggerOr(options.Logger)}
	return func(ctx context.Context, event events.KinesisEvent) (events.KinesisEventResponse, error) {
		ctx, done := early(ctx)
		defer done()
		response := events.KinesisEventResponse{BatchItemFailures: []events.KinesisBatchItemFailure{}}
		batch, err := batchOf(event)
		if err != nil || len(batch.records) == 0 {
			return response, err
		}
		failed, err := k.take(ctx, batch)
		if err != nil {
			return response, fmt.Errorf("%s of %s: %w", batch.shard, batch.stream, err)
		}
		if failed != "" {
			response.BatchItemFailures = append(response.BatchItemFailures, events.KinesisBatchItemFailure{ItemIdentifier: failed})
		}
		return response, nil
	}
}

// mapping is an event source mapping as seen from its function.
type mapping struct {
	shards Shards
	target consumer.Target
	log    *slog.Logger
}

// shardBatch is what an event holds: records of one shard, in order.
type shardBatch struct {
	stream, shard string // the stream's ARN
	records       []types.Record
}

// take takes in what is new, and returns the sequence number of the first record that is not
// taken in; empty: all are.
func (m *mapping) take(ctx context.Context, b shardBatch) (failed string, err error) {
	at, err := m.target.Checkpoint(ctx, b.shard)
	if err != nil {
		return "", fmt.Errorf("read the checkpoint: %w", err)
	}
	b.records = after(at, b.records)
	if len(b.records) == 0 {
		return "", nil
	}
	if at.Ended {
		return "", fmt.Errorf("%w: the checkpoint says that the shard has ended", ErrGap)
	}
	if err := m.follow(ctx, at, b); err != nil {
		return "", err
	}
	err = m.move(ctx, b, at, b.records)
	if err == nil {
		return "", nil
	}
	if len(b.records) > 1 && ctx.Err() == nil && !errors.Is(err, consumer.ErrLost) {
		return m.oneByOne(ctx, b, at)
	}
	return m.stopped(ctx, b, b.records[0], err), nil
}

// oneByOne takes in records up to the first that fails.
func (m *mapping) oneByOne(ctx context.Context, b shardBatch, at consumer.Checkpoint) (failed string, err error) {
	for n := range b.records {
		if err := m.move(ctx, b, at, b.records[n:n+1]); err != nil {
			return m.stopped(ctx, b, b.records[n], err), nil
		}
		at = reached(at, b.records[n])
	}
	return "", nil
}

func (m *mapping) move(ctx context.Context, b shardBatch, from consumer.Checkpoint, records []types.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	last := records[len(records)-1]
	to := reached(from, last)
	return unpanicked(func() error {
		return m.target.Take(ctx, consumer.Batch{Shard: b.shard, From: from, To: to, Records: records, Behind: behind(last)})
	})
}

// reached returns the checkpoint behind a record.
func reached(from consumer.Checkpoint, last types.Record) consumer.Checkpoint {
	to := consumer.Checkpoint{Sequence: sequence(last), Seen: from.Seen}
	// Times of arrival are approximate; an earlier one than the truth does no harm.
	if arrived := aws.ToTime(last.ApproximateArrivalTimestamp).Add(-time.Second).UTC().Truncate(time.Second); arrived.After(to.Seen) {
		to.Seen = arrived
	}
	return to
}

func (m *mapping) stopped(ctx context.Context, b shardBatch, at types.Record, err error) string {
	m.log.ErrorContext(ctx, "a record was not taken in; it and what follows will be given again", "stream", b.stream, "shard", b.shard, "sequence", sequence(at), "error", err)
	return sequence(at)
}

// follow proves that the records are those which follow the checkpoint in the shard. The record of the checkpoint
// itself comes first: a shard is trimmed from its oldest record on, so if that one is there, so is all behind it.
func (m *mapping) follow(ctx context.Context, at consumer.Checkpoint, b shardBatch) error {
	iterator, err := m.iterator(ctx, at, b)
	if err != nil {
		return fmt.Errorf("ask what follows the checkpoint: %w", err)
	}
	rest := b.records
	if at.Sequence != "" {
		rest = append([]types.Record{{SequenceNumber: aws.String(at.Sequence)}}, rest...)
	}
	for len(rest) > 0 {
		if iterator == nil {
			return fmt.Errorf("%w: the shard ends before %s", ErrGap, sequence(rest[0]))
		}
		page, err := m.shards.GetRecords(ctx, &kinesis.GetRecordsInput{
			ShardIterator: iterator, StreamARN: aws.String(b.stream), Limit: aws.Int32(int32(min(len(rest), mostRecords))),
		})
		if err != nil {
			return fmt.Errorf("ask what follows the checkpoint: %w", err)
		}
		if len(page.Records) == 0 && page.NextShardIterator != nil {
			if err := pause(ctx); err != nil {
				return fmt.Errorf("ask what follows the checkpoint: %w", err)
			}
		}
		for n, next := range page.Records {
			if n == len(rest) {
				break
			}
			switch {
			case sequence(next) == sequence(rest[n]):
			case sequence(rest[n]) == at.Sequence:
				return fmt.Errorf("%w: the record of the checkpoint, %s, is there no more, the shard begins with %s", ErrGap, at.Sequence, sequence(next))
			default:
				return fmt.Errorf("%w: %s is where the shard has %s", ErrGap, sequence(rest[n]), sequence(next))
			}
		}
		rest, iterator = rest[min(len(rest), len(page.Records)):], page.NextShardIterator
	}
	return nil
}

const mostRecords = 10_000 // that GetRecords gives at a time

// pause waits before it is asked again for what a page did not have: a shard takes five reads a second,
// of all its readers.
func pause(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(emptyPause):
		return nil
	}
}

const emptyPause = 200 * time.Millisecond

func (m *mapping) iterator(ctx context.Context, at consumer.Checkpoint, b shardBatch) (*string, error) {
	in := &kinesis.GetShardIteratorInput{StreamARN: aws.String(b.stream), ShardId: aws.String(b.shard), ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
	if at.Sequence != "" {
		in.ShardIteratorType, in.StartingSequenceNumber = types.ShardIteratorTypeAtSequenceNumber, aws.String(at.Sequence)
	}
	out, err := m.shards.GetShardIterator(ctx, in)
	if _, invalid := errors.AsType[*types.InvalidArgumentException](err); invalid && at.Sequence != "" {
		// What Kinesis says of a record that is trimmed is not documented; this is one answer.
		return nil, fmt.Errorf("%w: the record of the checkpoint, %s, is there no more: %w", ErrGap, at.Sequence, err)
	}
	if err != nil {
		return nil, err
	}
	return out.ShardIterator, nil
}

// batchOf reads an event. Lambda makes one of one shard, in order; what is not so is refused.
func batchOf(event events.KinesisEvent) (b shardBatch, err error) {
	for n, r := range event.Records {
		shard, _, ok := strings.Cut(r.EventID, ":")
		switch {
		case !ok || r.Kinesis.SequenceNumber == "":
			return b, fmt.Errorf("record %d is none of Kinesis: its eventID is %q", n, r.EventID)
		case n == 0:
			b.shard, b.stream = shard, streamOf(r)
		case shard != b.shard || streamOf(r) != b.stream:
			return b, fmt.Errorf("one event has records of %s and of %s", b.shard, shard)
		case compare(event.Records[n-1].Kinesis.SequenceNumber, r.Kinesis.SequenceNumber) >= 0:
			return b, fmt.Errorf("record %s of %s comes behind a later one", r.Kinesis.SequenceNumber, shard)
		}
		b.records = append(b.records, types.Record{
			Data: r.Kinesis.Data, PartitionKey: aws.String(r.Kinesis.PartitionKey), SequenceNumber: aws.String(r.Kinesis.SequenceNumber),
			ApproximateArrivalTimestamp: aws.Time(r.Kinesis.ApproximateArrivalTimestamp.UTC()), EncryptionType: types.EncryptionType(r.Kinesis.EncryptionType),
		})
	}
	return b, nil
}

// streamOf returns the stream's ARN. With enhanced fan-out the source of the mapping is a consumer of it.
func streamOf(r events.KinesisEventRecord) string {
	stream, _, _ := strings.Cut(r.EventSourceArn, "/consumer/")
	return stream
}

// after returns the records behind the checkpoint.
func after(at consumer.Checkpoint, records []types.Record) []types.Record {
	first := slices.IndexFunc(records, func(r types.Record) bool { return compare(sequence(r), at.Sequence) > 0 })
	if first < 0 {
		return nil
	}
	return records[first:]
}

// compare compares sequence numbers, which have up to 128 digits and no leading zeros.
func compare(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

func sequence(r types.Record) string { return aws.ToString(r.SequenceNumber) }

func behind(r types.Record) time.Duration {
	return max(0, time.Since(aws.ToTime(r.ApproximateArrivalTimestamp)))
}
