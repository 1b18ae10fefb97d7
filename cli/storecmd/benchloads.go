package storecmd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
)

const (
	benchCategory = "leftfold_bench"
	eventsAStream = 100
	payloadBytes  = 256
	// An append that no indexer reads would wait for as long as one lets it.
	patience = time.Minute
)

// benched is the event of all loads. Its payload has payloadBytes.
type benched struct{ Text string }

var benchPayload = []byte(`{"Text":"` + strings.Repeat("x", payloadBytes-len(`{"Text":""}`)) + `"}`)

func benchEvents(n int) []eventstore.EventData {
	events := make([]eventstore.EventData, n)
	for i := range events {
		events[i] = eventstore.EventData{Type: benchCategory, SchemaVersion: 1, Data: benchPayload}
	}
	return events
}

// loads are what is measured in a place.
type loads struct {
	*place

	during time.Duration
	events int
	begun  eventstore.Position // the log before all loads
	filled []eventstore.StreamID
	built  int
}

// load is one of them.
type load struct {
	measured

	do func(ctx context.Context) (sample, error)
}

func (l *loads) all(writers, batches []int) []load {
	var all []load
	for _, batch := range batches {
		for _, writers := range writers {
			all = append(all, load{measured{What: "append", Writers: writers, Batch: batch}, func(ctx context.Context) (sample, error) {
				return l.append(ctx, writers, batch)
			}})
		}
	}
	all = append(all, load{measured{What: "read a stream", Batch: eventsAStream}, l.readStreams}, load{measured{What: "read the log", Batch: l.events}, l.readLog})
	if l.sink != nil {
		all = append(all, load{measured{What: "project", Batch: l.events}, l.project})
	}
	return all
}

// fill appends the events that are read and projected.
func (l *loads) fill(ctx context.Context) error {
	head, err := l.store.Head(ctx)
	if err != nil {
		return err
	}
	l.begun = head.Position
	var next atomic.Int64
	l.filled = make([]eventstore.StreamID, l.events/eventsAStream)
	l.events = len(l.filled) * eventsAStream
	return together(min(8, len(l.filled)), func(int) error {
		for {
			n := int(next.Add(1)) - 1
			if n >= len(l.filled) {
				return nil
			}
			l.filled[n] = eventstore.NewStreamID(benchCategory, eventstore.NewEventID().String())
			if err := l.write(ctx, l.filled[n], 0, benchEvents(eventsAStream)); err != nil {
				return fmt.Errorf("fill the log: %w", err)
			}
		}
	})
}

func (l *loads) write(ctx context.Context, stream eventstore.StreamID, at eventstore.Version, events []eventstore.EventData) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	expected := eventstore.NoStream
	if at > 0 {
		expected = eventstore.Exactly(at)
	}
	_, err := l.store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Expected: expected, Events: events}}})
	return err
}

// append has so many writers append, each to a stream of its own.
func (l *loads) append(ctx context.Context, writers, batch int) (sample, error) {
	calls := make([][]time.Duration, writers)
	begun := time.Now()
	err := together(writers, func(w int) error {
		stream, at := eventstore.NewStreamID(benchCategory, eventstore.NewEventID().String()), eventstore.Version(0)
		events := benchEvents(batch)
		for len(calls[w]) == 0 || time.Since(begun) < l.during {
			called := time.Now()
			if err := l.write(ctx, stream, at, events); err != nil {
				return err
			}
			calls[w] = append(calls[w], time.Since(called))
			at += eventstore.Version(batch)
		}
		return nil
	})
	s := sample{took: time.Since(begun)}
	for _, of := range calls {
		s.calls = append(s.calls, of...)
	}
	s.events = len(s.calls) * batch
	return s, err
}

func (l *loads) readStreams(ctx context.Context) (s sample, err error) {
	begun := time.Now()
	for n := 0; n == 0 || time.Since(begun) < l.during; n++ {
		called := time.Now()
		for _, err := range l.store.ReadStream(ctx, l.filled[n%len(l.filled)], eventstore.StreamRange{}) {
			if err != nil {
				return s, err
			}
			s.events++
		}
		s.calls = append(s.calls, time.Since(called))
	}
	s.took = time.Since(begun)
	return s, nil
}

func (l *loads) readLog(ctx context.Context) (s sample, err error) {
	begun := time.Now()
	read, err := l.store.ReadLog(ctx, eventstore.LogQuery{After: l.begun, Through: l.begun + eventstore.Position(l.events)})
	if err != nil {
		return s, err
	}
	for _, err := range read.Events() {
		if err != nil {
			return s, err
		}
		s.events++
	}
	s.took = time.Since(begun)
	return s, nil
}

// benchRow is a row of the view that is built: one for each stream.
type benchRow struct {
	Stream string `leftfold:"key"`
	Events int64
}

// project builds a new read model of the log, up to the end of what was filled.
func (l *loads) project(ctx context.Context) (s sample, err error) {
	set, err := codec.NewSet(codec.Event[benched](benchCategory))
	if err != nil {
		return s, err
	}
	l.built++
	view := projection.NewView(fmt.Sprintf("%s_%d", benchCategory, l.built), projection.ViewOptions{Version: 1},
		projection.When(func(row *benchRow, _ benched, _ eventstore.Recorded) { row.Events++ }))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	begun := time.Now()
	worker := projection.Worker{Log: l.store, Events: set, Tasks: []projection.Task{projection.Into(l.sink, view)}}
	worker.Hooks.Progress = func(p projection.Progress) {
		if s.took == 0 && int(p.Position) >= l.events {
			s.events, s.took = int(p.Position), time.Since(begun)
			stop()
		}
	}
	var failed error
	worker.Hooks.Failed = func(_ projection.Generation, err error) {
		failed = err
		stop()
	}
	err = errors.Join(worker.Run(ctx), failed)
	if s.took == 0 && err == nil {
		err = context.Cause(ctx)
	}
	return s, err
}

// together runs do so many times at a time, and returns when all have ended.
func together(n int, do func(n int) error) error {
	failures := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { failures[i] = do(i) })
	}
	all.Wait()
	for _, err := range failures {
		if err != nil {
			return err // one tells enough
		}
	}
	return nil
}

func (m measured) name() string {
	switch {
	case m.Writers > 0:
		return fmt.Sprintf("append, %s, %s", plural(m.Writers, "writer"), plural(m.Batch, "event"))
	case m.What == "read a stream":
		return fmt.Sprintf("read a stream of %s", plural(m.Batch, "event"))
	}
	return fmt.Sprintf("%s, %s", m.What, plural(m.Batch, "event"))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return cli.Thousands(n) + " " + what + "s"
}
