package consumer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// reader reads one shard from a checkpoint on.
type reader struct {
	w     *Worker
	shard string
	facts func() facts

	at       Checkpoint // where it reads, perhaps with a newer Seen than is stored
	iterator string     // empty: none

	pushed *kinesis.SubscribeToShardEventStream // with fan-out; nil: none
	cancel context.CancelFunc                   // ends it
	polled bool                                 // since the last subscription
}

// facts are what the last survey says of a shard.
type facts struct {
	created   time.Time // the stream was
	retention time.Duration
	openAt    time.Time // when it was last listed as open; the zero time: never
}

// page is what one read of a shard brought.
type page struct {
	records []types.Record
	to      Checkpoint
	behind  time.Duration
	pushed  bool // the next one comes by itself
}

// read reads what follows the checkpoint; nothing, if there is nothing yet. Kinesis jumps over what is
// trimmed without a word, so what was read is worth something only if nothing before it was.
func (r *reader) read(ctx context.Context) (page, error) {
	if err := r.open(ctx); err != nil {
		return page{}, err
	}
	asked := now()
	out, err := r.w.api.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: &r.iterator, Limit: &r.w.Limit})
	if expired := (*types.ExpiredIteratorException)(nil); errors.As(err, &expired) {
		r.iterator = "" // the next read opens another one
		return page{to: r.at}, nil
	}
	if err != nil {
		return page{}, fmt.Errorf("read shard %s: %w", r.shard, err)
	}
	p := r.pageOf(out.Records, out.MillisBehindLatest)
	p.to.Ended = out.NextShardIterator == nil
	if p.to.Ended || p.behind == 0 {
		p.to = p.to.see(earlier(asked, r.facts().openAt))
	}
	if err := r.proveIfNew(ctx, p); err != nil {
		r.iterator = ""
		return page{}, err
	}
	r.iterator = aws.ToString(out.NextShardIterator)
	return p, nil
}

// earlier is what Seen may say at the tip of a shard. What it says is said of the children too, which begin by it,
// so it goes no further than the shard was open for certain: one that was closed days ago may be
// read up to its tip before Kinesis says that this is the end.
func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// see returns the checkpoint with a newer Seen.
func (c Checkpoint) see(at time.Time) Checkpoint {
	if at = at.UTC().Truncate(time.Second); at.After(c.Seen) {
		c.Seen = at
	}
	return c
}

// behindCheckpoint leaves out what was taken in: after open has begun at the oldest record.
func (r *reader) behindCheckpoint(records []types.Record) []types.Record {
	for len(records) > 0 && compare(aws.ToString(records[0].SequenceNumber), r.at.Sequence) <= 0 {
		records = records[1:]
	}
	return records
}

// compare compares sequence numbers: numbers without leading zeros, too long for an int.
func compare(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// open makes an iterator, if there is none: behind the record of the checkpoint, or at the oldest one that there is.
func (r *reader) open(ctx context.Context) (err error) {
	switch {
	case r.iterator != "":
		return nil
	case r.at.Sequence == "":
		return r.openOldest(ctx)
	}
	r.iterator, err = r.iteratorOf(ctx, types.ShardIteratorTypeAfterSequenceNumber)
	if isInvalid(err) {
		// What Kinesis says of a record that is trimmed is not documented. This is one answer; to
		// begin at the oldest one that is left is another, and prove sees to both.
		return r.openOldest(ctx)
	}
	return err
}

// openOldest begins at the oldest record of the shard. It makes sure that the stream is still the one that it was: one
// that was made anew has shards of the same names, and nothing else would tell until the next look.
func (r *reader) openOldest(ctx context.Context) error {
	iterator, err := r.iteratorOf(ctx, types.ShardIteratorTypeTrimHorizon)
	if err == nil {
		err = r.isSame(ctx)
	}
	if err == nil {
		r.iterator = iterator
	}
	return err
}

// isSame fails if there is another stream of that name by now.
func (r *reader) isSame(ctx context.Context) error {
	out, err := r.w.api.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: &r.w.Stream})
	if err != nil {
		return fmt.Errorf("describe stream %s: %w", r.w.Stream, err)
	}
	if created := aws.ToTime(out.StreamDescriptionSummary.StreamCreationTimestamp); !created.Equal(r.facts().created) {
		return r.w.madeAnew(created)
	}
	return nil
}

func (r *reader) iteratorOf(ctx context.Context, kind types.ShardIteratorType) (string, error) {
	in := &kinesis.GetShardIteratorInput{StreamName: &r.w.Stream, ShardId: &r.shard, ShardIteratorType: kind}
	if kind != types.ShardIteratorTypeTrimHorizon {
		in.StartingSequenceNumber = &r.at.Sequence
	}
	out, err := r.w.api.GetShardIterator(ctx, in)
	if err != nil {
		return "", fmt.Errorf("read shard %s from sequence number %q on: %w", r.shard, r.at.Sequence, err)
	}
	return aws.ToString(out.ShardIterator), nil
}

func isInvalid(err error) bool {
	var invalid *types.InvalidArgumentException
	return errors.As(err, &invalid)
}

// margin is how far we stay away from the moment in which a record is trimmed: as much as clocks may differ.
const margin = time.Hour

// prove fails with [ErrTrimmed] unless no record behind the checkpoint can have been missing in the read
// that has just been made. Either nothing behind it is old enough to be trimmed. Or the record
// of the checkpoint is still there: Kinesis trims a shard from its oldest record on, so what is behind that one
// was there as well. The proof comes after the read; before it, it would say nothing of a record that is trimmed between.
func (r *reader) prove(ctx context.Context) error {
	facts := r.facts()
	if time.Since(r.at.Seen) < facts.retention-margin {
		return nil
	}
	there, err := r.isThere(ctx)
	if err == nil && !there {
		err = fmt.Errorf("%w: shard %s of stream %s was taken in up to sequence number %q, and up to what arrived by %s: longer ago than the %s for which the stream keeps records, less %s for clocks that differ",
			ErrTrimmed, r.shard, r.w.Stream, r.at.Sequence, r.at.Seen.Format(time.RFC3339), facts.retention, margin)
	}
	return err
}

// isThere reports whether the shard still has the record of the checkpoint.
func (r *reader) isThere(ctx context.Context) (bool, error) {
	if r.at.Sequence == "" {
		return false, nil
	}
	iterator, err := r.iteratorOf(ctx, types.ShardIteratorTypeAtSequenceNumber)
	if isInvalid(err) {
		return false, nil
	}
	for err == nil && pause(ctx, r.w.Poll) {
		out, failed := r.w.api.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: &iterator, Limit: aws.Int32(1)})
		switch {
		case failed != nil:
			return false, fmt.Errorf("read shard %s: %w", r.shard, failed)
		case len(out.Records) > 0:
			return aws.ToString(out.Records[0].SequenceNumber) == r.at.Sequence, nil
		case out.NextShardIterator == nil || aws.ToInt64(out.MillisBehindLatest) == 0:
			return false, nil
		}
		iterator = *out.NextShardIterator // an empty answer is not yet the end
	}
	return false, errors.Join(err, ctx.Err())
}
