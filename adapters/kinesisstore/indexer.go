package kinesisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
)

// Indexer keeps an index up with its stream. Run as many as you like, in any processes: they divide the
// shards by the leases, and the index takes each record once whatever they do.
//
// A shard that halts is told to OnError again and again, and the others go on. Fill it in and call Run.
type Indexer struct {
	// API and Index are what to read and where to. Required.
	API   consumer.API
	Index *Index
	// Leases divide the shards among the indexers of the index. Default: those of this process, which
	// is then the only one that should run one.
	Leases consumer.LeaseStore
	// Archive keeps the records for longer than the stream does, before the index has them.
	// Default: none; what leaves the stream is in the index alone then.
	Archive Archive

	// NeverWritten says that nothing was put on the stream before the index was made. Default: an index that
	// has nothing yet of a stream which is older than its retention less an hour is [ErrTrimmed], because its first
	// records may be gone.
	NeverWritten bool

	// TTL and Poll are those of [consumer.Worker]. An append takes up to a Poll longer than its put.
	TTL, Poll time.Duration
	// OnError is told what keeps a shard or the indexer from going on, and [ErrBehind]. Calls come
	// from several goroutines. Default: nobody is told.
	OnError func(error)
}

// Run works until ctx ends, and returns nil then. It returns earlier with [ErrPartitionKeys] or [ErrOtherStream], if the
// stream is not what it was: it looks at the beginning and every minute.
func (i Indexer) Run(ctx context.Context) error {
	if i.OnError == nil {
		i.OnError = func(error) {}
	}
	if i.Leases == nil {
		i.Leases = consumer.NewMemory()
	}
	var retention atomic.Int64
	if err := i.look(ctx, &retention); err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		for sleep(ctx, lookEvery) == nil {
			if err := i.look(ctx, &retention); changed(err) {
				stop(err)
			} else if err != nil && ctx.Err() == nil {
				i.OnError(err) // it may pass: look again in a minute
			}
		}
	}()
	worker := &consumer.Worker{
		API: i.API, Stream: i.Index.stream.Name, Target: i.target(&retention), Leases: i.Leases,
		TTL: i.TTL, Poll: i.Poll, OnError: i.OnError,
		OnProgress: func(p consumer.Progress) {
			if p.Behind > time.Duration(retention.Load())/2 {
				i.OnError(fmt.Errorf("%w: shard %s by %v", ErrBehind, p.Shard, p.Behind))
			}
		},
	}
	err := worker.Run(ctx)
	stop(nil)
	<-watching
	if cause := context.Cause(ctx); changed(cause) {
		return cause
	}
	return err
}

func (i Indexer) target(retention *atomic.Int64) consumer.Target {
	first := wholeStream{i.Index, retention, i.NeverWritten}
	if i.Archive == nil {
		return first
	}
	return NewArchiver(i.API, i.Archive, i.Index.stream, first)
}

// margin is that of the consumer: from then on before the retention is over, records may be gone.
const margin = time.Hour

// wholeStream refuses to begin with an index of a stream that may have lost its first records: a plain consumer
// may begin in the middle, a store may not.
type wholeStream struct {
	*Index

	retention    *atomic.Int64
	neverWritten bool
}

func (w wholeStream) Take(ctx context.Context, batch consumer.Batch) error {
	if batch.Shard == consumer.Beginning {
		age, kept := w.now().Sub(w.stream.CreatedAt), time.Duration(w.retention.Load())
		if parentsGone := strings.Contains(batch.To.Sequence, " "); parentsGone || age > kept-margin && !w.neverWritten {
			return fmt.Errorf("%w: the stream is %v old and keeps %v, less %v for clocks that differ, and the index has nothing of it (if nothing was ever put on it: Indexer.NeverWritten)", ErrTrimmed, age.Round(time.Hour), kept, margin)
		}
		if !w.neverWritten { // nothing of it has been taken in, and nothing may go before a shard is begun
			batch.To.Seen = w.stream.CreatedAt.UTC().Truncate(time.Second)
		}
	}
	return w.Index.Take(ctx, batch)
}

// look looks whether the stream is what it was, and for how long it keeps records.
func (i Indexer) look(ctx context.Context, retention *atomic.Int64) error {
	now, err := Describe(ctx, i.API, i.Index.stream.Name)
	if err != nil {
		return err
	}
	retention.Store(int64(now.Retention))
	return i.Index.stream.same(now)
}

// changed reports whether the stream is not what it was.
func changed(err error) bool {
	return errors.Is(err, ErrPartitionKeys) || errors.Is(err, ErrOtherStream)
}
