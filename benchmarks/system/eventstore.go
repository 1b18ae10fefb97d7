package system

import (
	"context"
	"fmt"
	"sync"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// EventStore is any of Leftfold's stores behind the port eventstore.Store.
type EventStore struct {
	eventstore.Store
	close func() error
}

// Close closes the store and its connections.
func (s EventStore) Close() { _ = s.close() }

// Append adds the events to the stream.
func (s EventStore) Append(ctx context.Context, a Append) (int64, error) {
	events := make([]eventstore.EventData, len(a.Events))
	for i, event := range a.Events {
		events[i] = eventstore.EventData{Type: EventType, Tags: a.Tags, Data: event.Data, Metadata: Metadata}
	}
	request := eventstore.AppendRequest{
		Command: eventstore.Command{ID: a.Command},
		Writes: []eventstore.Write{{
			Stream: eventstore.StreamID(a.Stream), Expected: eventstore.Exactly(eventstore.Version(a.Expected)), Events: events,
		}},
	}
	if len(a.OnlyIfNone) > 0 {
		request.Condition = &eventstore.Condition{FailIf: eventstore.Tagged(a.OnlyIfNone...), After: eventstore.Position(a.After)}
	}
	receipt, err := s.Store.Append(ctx, request)
	return int64(receipt.Token.Position), err
}

// LoadStream reads the stream.
func (s EventStore) LoadStream(ctx context.Context, stream string) (read int, err error) {
	for _, err := range s.ReadStream(ctx, eventstore.StreamID(stream), eventstore.StreamRange{}) {
		if err != nil {
			return read, err
		}
		read++
	}
	return read, nil
}

// ReadLog reads the whole log.
func (s EventStore) ReadLog(ctx context.Context, _ int) (read int, err error) {
	_, err = s.readAfter(ctx, 0, func(eventstore.Recorded) error {
		read++
		return nil
	})
	return read, err
}

// readAfter returns the position that it has read through.
func (s EventStore) readAfter(ctx context.Context, after eventstore.Position, handle func(eventstore.Recorded) error) (eventstore.Position, error) {
	read, err := s.Store.ReadLog(ctx, eventstore.LogQuery{After: after})
	if err != nil {
		return after, err
	}
	for event, err := range read.Events() {
		if err != nil {
			return after, err
		}
		if err := handle(event); err != nil {
			return after, err
		}
	}
	return read.Through.Position, nil
}

// Subscribe follows the log.
func (s EventStore) Subscribe(ctx context.Context, seen func(int64)) error {
	return s.Follow(ctx, 0, func(event eventstore.Recorded) error {
		ref, err := RefOf(event.Data)
		if err == nil {
			seen(ref)
		}
		return err
	})
}

// Follow hands over the events after the position until ctx ends: it waits for the
// store's wake-up and reads to the head.
func (s EventStore) Follow(ctx context.Context, after eventstore.Position, handle func(eventstore.Recorded) error) error {
	for {
		if err := eventstore.WaitAppended(ctx, s.Store, after); err != nil {
			return endOf(ctx, err)
		}
		through, err := s.readAfter(ctx, after, handle)
		if err != nil {
			return endOf(ctx, err)
		}
		after = through
	}
}

// ReadDecoded reads the whole log and decodes every event into a Go value with the codec:
// in the reading loop itself if decoders is 0, as a simple program does, or in so many
// goroutines that take windows of the log in turn. The options say how the codec decodes.
func (s EventStore) ReadDecoded(ctx context.Context, decoders int, options ...codec.Option) (read int, err error) {
	types, err := codec.NewSet(codec.Event[OrderPlaced](EventType, options...))
	if err != nil {
		return 0, err
	}
	if decoders == 0 {
		_, err = s.readAfter(ctx, 0, func(event eventstore.Recorded) error {
			read++
			return decode(types, event)
		})
		return read, err
	}
	return s.readDecodedBy(ctx, types, decoders)
}

func (s EventStore) readDecodedBy(ctx context.Context, types *codec.Set, decoders int) (read int, err error) {
	const window = 1000
	windows := make(chan []eventstore.Recorded, 2*decoders)
	failures := make(chan error, decoders)
	var all sync.WaitGroup
	for range decoders {
		all.Go(func() {
			var failed error
			for events := range windows {
				for _, event := range events {
					if err := decode(types, event); err != nil {
						failed = err
					}
				}
			}
			failures <- failed
		})
	}
	pending := make([]eventstore.Recorded, 0, window)
	_, err = s.readAfter(ctx, 0, func(event eventstore.Recorded) error {
		read++
		if pending = append(pending, event); len(pending) == window {
			windows <- pending
			pending = make([]eventstore.Recorded, 0, window)
		}
		return nil
	})
	windows <- pending
	close(windows)
	all.Wait()
	for range decoders {
		if failed := <-failures; err == nil {
			err = failed
		}
	}
	return read, err
}

func decode(types *codec.Set, event eventstore.Recorded) error {
	values, err := types.Decode(event)
	if err != nil {
		return err
	}
	if _, ok := values[0].(OrderPlaced); !ok {
		return fmt.Errorf("event %d decodes to %T", event.Position, values[0])
	}
	return nil
}

var (
	_ StreamLoader = EventStore{}
	_ LogReader    = EventStore{}
	_ Subscriber   = EventStore{}
)
