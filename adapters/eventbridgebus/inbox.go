package eventbridgebus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/relay"
)

// Inbox puts events into a store of the receiver's own, each once and in the order of its stream, however
// they come. It is a log: give it to a projection.Runner or Worker as Log, and read models are built,
// rebuilt and parked as from any other.
//
// Where an event belongs is decided by the append, which expects the version before it: a repeat is
// refused by its version, and what is early too. That one is appended to a stream where it is held,
// and moved to its place when what is missing has come. Both are appends, so a crash between any two
// steps, and two processes at a time, do no harm: the queue still has the event, and to handle it again
// changes nothing.
//
// A copy that was held stays in the store when it has been moved, and also when its stream is deleted; only Gaps
// reads it again. It is the message as the bus has it: data that is JSON with spaces takes a third more there.
// A store with the usual limits holds whatever the bus takes.
//
// The publishing relay must leave out no event of a stream (its Query and Translate select whole streams, if
// anything), or the inbox waits for what was left out; see [Inbox.Gaps] and [Inbox.Skip].
//
// Positions are the inbox's own, so a token of the publisher's store says nothing here. The metadata have
// the event's position and time there, as [relay.MetadataSourcePosition] and [MetadataSourceTime].
type Inbox struct {
	// Store keeps the events: any store, and this inbox's alone. Required.
	Store eventstore.Store
	// Source is the store whose events are taken in. Those of another one are errors. Required.
	Source eventstore.StoreID
	// Replays takes in replayed events too: for an inbox that read models are made from. Default: they are
	// dropped, as they must be where a saga or a relay reads the inbox, which would act once more.
	Replays bool
	// Missing is asked for what is missing of a stream before an event is held. It gives the events as
	// they are stored, so it is of no use if the relay translates them. What it fails with is not lost:
	// the event is held. Default: nobody is asked.
	Missing eventstore.StreamReader
}

// MetadataSourceTime is in an inbox's events: when the publisher's store took the event, as RFC 3339.
const MetadataSourceTime = "source_time"

// Handle is a [Handler]. With nil the event is durable in the store, held or in its place, or was there
// before. An event that is there with another id is [eventstore.ErrDiverged]: the publisher's
// store was rolled back, and the inbox has what is no more; begin a new one.
func (i Inbox) Handle(ctx context.Context, event json.RawMessage) error {
	e, err := ParseEvent(event)
	switch {
	case err != nil:
		return err
	case e.Message.Source != i.Source:
		return fmt.Errorf("event of store %s, the inbox is for %s: %w", e.Message.Source, i.Source, eventstore.ErrForeignToken)
	case e.Message.Type == heldType || e.Message.Type == skippedType:
		return &eventstore.InvalidError{What: "event of type " + e.Message.Type, Reason: "the type is the inbox's own, and would not be read; let the relay publish it under another one, or not at all"}
	case e.Replay != "" && !i.Replays:
		return nil
	}
	if err := i.take(ctx, e.Message); err != nil {
		return fmt.Errorf("inbox: version %d of %s: %w", e.Message.Version, e.Message.Stream, err)
	}
	return nil
}

// take puts the message into its place, holds it, or finds that it is a repeat.
func (i Inbox) take(ctx context.Context, m relay.Message) error {
	err := i.append(ctx, m)
	conflict, isConflict := errors.AsType[*eventstore.VersionConflictError](err)
	switch {
	case err == nil:
		return i.moveHeld(ctx, m.Stream, m.Version)
	case errors.Is(err, eventstore.ErrStreamDeleted):
		return nil // nothing comes after a tombstone: this came before it
	case !isConflict:
		return err
	case conflict.Actual >= m.Version:
		return i.repeat(ctx, m, conflict.Actual)
	}
	if i.fetch(ctx, m, conflict.Actual) {
		return nil
	}
	if err := i.hold(ctx, m); err != nil {
		return err
	}
	// What was missing may have come while we held this one, and have found nothing held.
	version, err := i.version(ctx, m.Stream)
	switch {
	case errors.Is(err, eventstore.ErrStreamDeleted):
		return nil // all has come, this one too: by somebody else
	case err != nil:
		return err
	}
	return i.moveHeld(ctx, m.Stream, version)
}

// append appends messages that follow one another in their stream.
func (i Inbox) append(ctx context.Context, messages ...relay.Message) error {
	first := messages[0]
	expected := eventstore.Exactly(first.Version - 1)
	if first.Type == eventstore.TombstoneType {
		deleter, ok := i.Store.(eventstore.StreamDeleter)
		if !ok {
			return fmt.Errorf("the stream was deleted, and the inbox's store cannot delete one: %w", eventstore.ErrUnsupported)
		}
		_, err := deleter.DeleteStream(ctx, first.Stream, expected)
		return err
	}
	events := make([]eventstore.EventData, len(messages))
	for n, m := range messages {
		events[n] = eventOf(m)
	}
	_, err := i.Store.Append(ctx, eventstore.AppendRequest{
		Writes: []eventstore.Write{{Stream: first.Stream, Expected: expected, Events: events}},
	})
	return err
}

func eventOf(m relay.Message) eventstore.EventData {
	metadata := eventstore.Metadata{}
	maps.Copy(metadata, m.Metadata)
	metadata[relay.MetadataSourcePosition] = strconv.FormatInt(int64(m.Position), 10)
	metadata[MetadataSourceTime] = m.RecordedAt.UTC().Format(time.RFC3339Nano)
	return eventstore.EventData{
		ID: m.EventID, Type: m.Type, SchemaVersion: m.SchemaVersion, Tags: m.Tags, Data: m.Data, Metadata: metadata.Encode(),
	}
}

// repeat makes sure that the message is what the stream has, and then that nothing is held which could go
// on: whoever put it there may have died before that.
func (i Inbox) repeat(ctx context.Context, m relay.Message, version eventstore.Version) error {
	for event, err := range i.Store.ReadStream(ctx, m.Stream, eventstore.StreamRange{After: m.Version - 1, Through: m.Version}) {
		if err != nil {
			return err
		}
		if event.ID != m.EventID && event.Type != skippedType {
			return fmt.Errorf("it is event %s, the inbox has %s: %w", m.EventID, event.ID, eventstore.ErrDiverged)
		}
	}
	return i.moveHeld(ctx, m.Stream, version)
}

// version returns the stream's version.
func (i Inbox) version(ctx context.Context, stream eventstore.StreamID) (eventstore.Version, error) {
	for event, err := range i.Store.ReadStream(ctx, stream, eventstore.StreamRange{Backwards: true, Limit: 1}) {
		return event.Version, err
	}
	return 0, nil
}
