package consumer

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// API is what the consumer calls of Kinesis; [kinesis.Client] has it.
type API interface {
	DescribeStreamSummary(context.Context, *kinesis.DescribeStreamSummaryInput, ...func(*kinesis.Options)) (*kinesis.DescribeStreamSummaryOutput, error)
	ListShards(context.Context, *kinesis.ListShardsInput, ...func(*kinesis.Options)) (*kinesis.ListShardsOutput, error)
	GetShardIterator(context.Context, *kinesis.GetShardIteratorInput, ...func(*kinesis.Options)) (*kinesis.GetShardIteratorOutput, error)
	GetRecords(context.Context, *kinesis.GetRecordsInput, ...func(*kinesis.Options)) (*kinesis.GetRecordsOutput, error)
}

// Target takes in the records of the shards of one stream. Methods are called from several goroutines,
// of one shard from one at a time; other processes may call the same.
//
// One of the shards is none of Kinesis's: [Beginning].
type Target interface {
	// Checkpoint returns how far a shard has been taken in; the zero Checkpoint: it was never
	// begun. It sees every Take that returned before it was called. Also of shards that the
	// stream does not have any more: children wait for the stored end of their parents.
	Checkpoint(ctx context.Context, shard string) (Checkpoint, error)

	// Take takes in the records of a batch and moves the checkpoint of its shard from batch.From
	// to batch.To, both or neither, durably. It fails with [ErrLost], and nothing is done, unless
	// the stored checkpoint is at batch.From, see [Checkpoint.IsAt]: another worker has taken over.
	// A batch may have no records. With any other error the outcome may be unknown; the consumer
	// reads the checkpoint before it goes on. It must not change the records or keep them.
	Take(ctx context.Context, batch Batch) error
}

// Checkpoint is how far a shard has been taken in.
type Checkpoint struct {
	// Sequence is the sequence number of the last record taken in; empty: none.
	Sequence string
	// Ended says that the shard is closed and everything in it has been taken in.
	Ended bool
	// Seen is a moment for which this holds: what arrived at the shard before it has been taken
	// in, or had gone before the consumer first began. In UTC, with whole seconds; the zero time in a
	// shard that was never begun. It is of the clock of the machine that reads, which must not differ from
	// Kinesis's by an hour or more: that much is kept free before a record may be trimmed.
	Seen time.Time
}

// IsAt reports whether it is at the same place as another one, which is what a [Target] compares.
// Seen does not count: it is true of the place, whoever has found it out.
func (c Checkpoint) IsAt(other Checkpoint) bool {
	return c.Sequence == other.Sequence && c.Ended == other.Ended
}

// Batch is what follows in a shard. Its records are in order, the last one is that of To.
type Batch struct {
	Shard    string
	From, To Checkpoint
	Records  []types.Record
	// Behind is how far the batch was behind the tip of the shard when it was read.
	Behind time.Duration
}

// Beginning is the shard in whose checkpoint the consumer keeps what it first found: the stream's age, and
// the shards that had no parents any more. Only those may ever begin without their parents. Its
// one batch has no records.
//
// What arrives after it is promised. What was there before is taken in as far as it is still there when its shard
// is first read: a consumer that begins with old records may find the oldest ones trimmed by then, and cannot know it, because
// Kinesis does not say which record was a shard's first. Who must have them all begins before the first one is
// put, as a kinesisstore.Indexer sees to.
const Beginning = "(beginning)"

// Errors of the consumer, for errors.Is.
var (
	// ErrLost: another worker has moved the checkpoint, or has taken the lease. Nothing was done.
	ErrLost = errors.New("the shard is with another worker now")

	// ErrTrimmed: records that were not taken in are gone from the stream, or nothing shows that
	// they are not. The shard stays where it is.
	//
	// Kinesis does not say so itself. What is gone is told from this: the last record that was
	// taken in is not there any more, and the checkpoint's Seen is older than the retention; a
	// parent is gone whose end was never stored; the stream was deleted and made anew. A shard in which
	// nothing has happened for weeks is not trimmed as long as a worker looks at it.
	//
	// What helps is a copy of the records that another consumer has kept, under a name of its own, before they
	// went: take that into a new target, and go on from the stream. Without one, a new target begins
	// with what is left. A longer retention keeps it from happening again.
	ErrTrimmed = errors.New("records are gone that were not taken in: restore them from what another consumer has kept of them, or begin with a new target")

	// ErrAggregated: a producer (KPL) has packed several records into one.
	ErrAggregated = errors.New("the record is one of several records packed by the KPL: set Worker.Deaggregate, or turn aggregation off in the producer")
)
