package eventbridgebus

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/relay"
)

// Types of the events that an inbox's store has beside those that have come. [Inbox.ReadLog] leaves
// them out.
const (
	heldType    = "leftfold.held"
	skippedType = "leftfold.skipped"
)

// How much of what is held is moved to its place by one append: it must be within the limits of an append
// and fit into memory. One event goes whatever its size.
const (
	mostMoved      = 100
	mostMovedBytes = 1 << 20
)

// heldStream is where the event of that version is held: a stream of one event, so that to hold it twice is
// a version conflict, and the next one to be moved is found by its name.
func heldStream(stream eventstore.StreamID, version eventstore.Version) eventstore.StreamID {
	sum := sha256.Sum256([]byte(stream))
	return eventstore.NewStreamID("held", fmt.Sprintf("%x-%d", sum[:16], version))
}

// hold keeps an event that is early.
func (i Inbox) hold(ctx context.Context, m relay.Message) error {
	text, err := m.CloudEvent()
	if err != nil {
		return err
	}
	_, err = i.Store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{
		Stream: heldStream(m.Stream, m.Version), Expected: eventstore.NoStream,
		Events: []eventstore.EventData{{Type: heldType, Data: text, Metadata: eventstore.Metadata{
			relay.MetadataSourceStream:  string(m.Stream),
			relay.MetadataSourceVersion: strconv.FormatInt(int64(m.Version), 10),
		}.Encode()}},
	}}})
	if !errors.Is(err, eventstore.ErrVersionConflict) {
		return err
	}
	first, found, err := i.held(ctx, m.Stream, m.Version)
	if err == nil && found && first.EventID != m.EventID {
		return fmt.Errorf("it is event %s, the inbox holds %s: %w", m.EventID, first.EventID, eventstore.ErrDiverged)
	}
	return err // nil: it is held already
}

// moveHeld moves what is held behind a version to its place, for as long as nothing is missing. Whoever has
// appended a version calls it afterwards, and whoever has held an event too; so one of the two
// sees the other.
func (i Inbox) moveHeld(ctx context.Context, stream eventstore.StreamID, version eventstore.Version) error {
	for {
		next, err := i.heldBehind(ctx, stream, version)
		if err != nil || len(next) == 0 {
			return err
		}
		err = i.append(ctx, next...)
		conflict, isConflict := errors.AsType[*eventstore.VersionConflictError](err)
		switch {
		case err == nil:
			version += eventstore.Version(len(next))
		case errors.Is(err, eventstore.ErrStreamDeleted):
			return nil
		case isConflict && conflict.Actual > version:
			version = conflict.Actual // another process is at it
		default:
			return err
		}
	}
}

// heldBehind returns the held events that follow the version without a gap; a tombstone goes alone.
func (i Inbox) heldBehind(ctx context.Context, stream eventstore.StreamID, version eventstore.Version) (next []relay.Message, err error) {
	for bytes := 0; len(next) < mostMoved; {
		version++
		m, found, err := i.held(ctx, stream, version)
		switch {
		case err != nil:
			return nil, err
		case !found, len(next) > 0 && (m.Type == eventstore.TombstoneType || bytes+len(m.Data) > mostMovedBytes):
			return next, nil
		case m.Type == eventstore.TombstoneType:
			return []relay.Message{m}, nil
		}
		next, bytes = append(next, m), bytes+len(m.Data)
	}
	return next, nil
}

func (i Inbox) held(ctx context.Context, stream eventstore.StreamID, version eventstore.Version) (m relay.Message, found bool, err error) {
	for event, err := range i.Store.ReadStream(ctx, heldStream(stream, version), eventstore.StreamRange{Limit: 1}) {
		if err != nil {
			return m, false, err
		}
		m, err = relay.ParseCloudEvent(event.Data)
		return m, err == nil, err
	}
	return m, false, nil
}

// fetch asks for what is missing before the message, and reports whether it is all in its place now.
func (i Inbox) fetch(ctx context.Context, m relay.Message, version eventstore.Version) bool {
	if i.Missing == nil {
		return false
	}
	for event, err := range i.Missing.ReadStream(ctx, m.Stream, eventstore.StreamRange{After: version, Through: m.Version}) {
		if err != nil {
			return false
		}
		err = i.append(ctx, messageOf(i.Source, event))
		conflict, isConflict := errors.AsType[*eventstore.VersionConflictError](err)
		if err != nil && (!isConflict || conflict.Actual < event.Version) {
			return false
		}
		version = event.Version
	}
	return version == m.Version && i.moveHeld(ctx, m.Stream, version) == nil
}

// messageOf returns an event of the publisher's store as a relay would publish it.
func messageOf(source eventstore.StoreID, event eventstore.Recorded) relay.Message {
	m := relay.Message{
		Source: source, Stream: event.Stream, Version: event.Version, Position: event.Position, EventID: event.ID,
		Type: event.Type, SchemaVersion: event.SchemaVersion, Tags: event.Tags, Data: event.Data, RecordedAt: event.RecordedAt,
	}
	if metadata, err := eventstore.ParseMetadata(event.Metadata); err == nil {
		m.Metadata = metadata
	}
	return m
}
