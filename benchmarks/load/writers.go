package load

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/leftfold/leftfold/benchmarks/stats"
	"github.com/leftfold/leftfold/benchmarks/system"
	"github.com/leftfold/leftfold/eventstore"
)

// Append is a load of appends. JSON, because child processes are told by it.
type Append struct {
	Writers int
	Events  int  // of each append
	Mixed   bool // every 4th append has 10 events instead

	Tagged      bool // three tags on each event
	Conditional bool // tagged, and each append on the condition that two of the tags are new
	Commands    bool // each append under a command id of its own

	// Salt and Process make stream names that no other load on the database has.
	Salt    string
	Process int
}

// streamsPerWriter are the streams that a writer appends to in turn; one that has 100
// events makes room for a new one.
const (
	streamsPerWriter = 16
	longEnough       = 100
)

// patience is how long appends that the end of the window finds under way may still take.
const patience = time.Minute

// Writers carry out a load, in one window or several.
type Writers struct {
	store   system.Store
	load    Append
	writers []*writer
}

// NewWriters returns the writers of a load.
func NewWriters(store system.Store, load Append) *Writers {
	all := &Writers{store: store, load: load}
	for n := range load.Writers {
		all.writers = append(all.writers, &writer{load: load, number: load.Process*load.Writers + n})
	}
	return all
}

// Run appends for the length of the window. It fails with the first append that fails:
// every expected version is right, so none should.
func (w *Writers) Run(ctx context.Context, window time.Duration) (*stats.Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, window+patience)
	defer cancel()
	samples := make([]*stats.Sample, len(w.writers))
	failures := make([]error, len(w.writers))
	start := time.Now()
	var all sync.WaitGroup
	for n, writer := range w.writers {
		all.Go(func() { samples[n], failures[n] = writer.run(ctx, w.store, start, window) })
	}
	all.Wait()
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	return stats.Merge(samples...), nil
}

// writer appends to streams of its own, so it knows their versions.
type writer struct {
	load    Append
	number  int
	appends int64
	refs    int64 // events appended so far
	started int64 // streams begun so far
	streams [streamsPerWriter]ownStream
	last    int64 // position of the last append
}

type ownStream struct {
	name    string
	version int64
}

func (w *writer) run(ctx context.Context, store system.Store, start time.Time, window time.Duration) (*stats.Sample, error) {
	sample := &stats.Sample{}
	for time.Since(start) < window {
		stream := &w.streams[w.appends%streamsPerWriter]
		a := w.next(stream)
		begun := time.Now()
		position, err := store.Append(ctx, a)
		if err != nil {
			return nil, fmt.Errorf("append %d of writer %d: %w", w.appends, w.number, err)
		}
		ended := time.Now()
		sample.Latency.Record(ended.Sub(begun))
		sample.Ops++
		sample.Events += int64(len(a.Events))
		sample.Elapsed = ended.Sub(start)
		stream.version += int64(len(a.Events))
		w.last = position
		w.appends++
	}
	return sample, nil
}

func (w *writer) next(stream *ownStream) system.Append {
	if stream.name == "" || stream.version >= longEnough {
		*stream = ownStream{name: streamName(w.load.Salt, "-", w.number, "-", w.started)}
		w.started++
	}
	count := w.load.Events
	if w.load.Mixed && w.appends%4 == 3 {
		count = 10
	}
	a := system.Append{Stream: stream.name, Expected: stream.version, Events: make([]system.Event, count)}
	for i := range a.Events {
		a.Events[i] = system.NewEvent(system.NewRef(w.number, w.refs))
		w.refs++
	}
	if w.load.Tagged || w.load.Conditional {
		a.Tags = w.tags(stream)
	}
	if w.load.Conditional {
		// As if decided on a read of both tags that ended where this writer appended last.
		a.OnlyIfNone, a.After = a.Tags[:2], w.last
	}
	if w.load.Commands {
		a.Command = eventstore.CommandID(eventstore.NewEventID())
	}
	return a
}

// tags are one of the stream, one of one in 16 of the writer's streams, and one that all
// writers share: rare, middling and common.
func (w *writer) tags(stream *ownStream) []eventstore.Tag {
	return []eventstore.Tag{
		eventstore.NewTag("order", stream.name),
		eventstore.NewTag("customer", fmt.Sprintf("%s-%d-%d", w.load.Salt, w.number, w.appends%streamsPerWriter)),
		eventstore.NewTag("region", fmt.Sprint(w.number%20)),
	}
}
