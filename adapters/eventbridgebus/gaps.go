package eventbridgebus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/relay"
)

// Gap is a stream that waits for an event.
type Gap struct {
	Stream  eventstore.StreamID
	Missing eventstore.Version // the next one that must come
	Held    eventstore.Version // the first one that is held
	Since   time.Time          // when that came
}

// Gaps returns the streams that wait, by name. An event that is missing at the end of its stream is no gap:
// nobody here knows that there is one.
//
// It reads all that was ever held. A gap that is older than what the bus and the queue may take (a day and the
// queue's retention, as they are set up) will not close by itself: replay the archive, or Skip.
func (i Inbox) Gaps(ctx context.Context) ([]Gap, error) {
	first, err := i.allHeld(ctx)
	if err != nil {
		return nil, fmt.Errorf("inbox: read what is held: %w", err)
	}
	gaps := map[eventstore.StreamID]Gap{}
	for stream, held := range first {
		version, err := i.settled(ctx, stream)
		if errors.Is(err, eventstore.ErrStreamDeleted) {
			continue // it has its last event
		}
		if err != nil {
			return nil, fmt.Errorf("inbox: what waits of %s: %w", stream, err)
		}
		for _, h := range held {
			if gap, found := gaps[stream]; h.Held > version && (!found || h.Held < gap.Held) {
				gaps[stream] = Gap{Stream: stream, Missing: version + 1, Held: h.Held, Since: h.Since}
			}
		}
	}
	return slices.SortedFunc(maps.Values(gaps), func(a, b Gap) int { return cmp.Compare(a.Stream, b.Stream) }), nil
}

// allHeld returns every event that was held, by stream.
func (i Inbox) allHeld(ctx context.Context) (map[eventstore.StreamID][]Gap, error) {
	read, err := i.Store.ReadLog(ctx, eventstore.LogQuery{Query: eventstore.Types(heldType)})
	if err != nil {
		return nil, err
	}
	all := map[eventstore.StreamID][]Gap{}
	for event, err := range read.Events() {
		if err != nil {
			return nil, err
		}
		metadata, err := eventstore.ParseMetadata(event.Metadata)
		if err != nil {
			return nil, err
		}
		stream := eventstore.StreamID(metadata[relay.MetadataSourceStream])
		version, err := strconv.ParseInt(metadata[relay.MetadataSourceVersion], 10, 64)
		if err != nil {
			return nil, err
		}
		all[stream] = append(all[stream], Gap{Stream: stream, Held: eventstore.Version(version), Since: event.RecordedAt})
	}
	return all, nil
}

// settled returns the stream's version after what can be moved has been.
func (i Inbox) settled(ctx context.Context, stream eventstore.StreamID) (eventstore.Version, error) {
	version, err := i.version(ctx, stream)
	if err == nil {
		err = i.moveHeld(ctx, stream, version)
	}
	if err != nil {
		return 0, err
	}
	return i.version(ctx, stream)
}

// Skip goes on with a stream without the event of that version, which must be the next: it was left out by
// people at the publisher's, say, and will not come. If it comes all the same, it is dropped. To skip again what
// was skipped changes nothing; to skip what has come is a version conflict.
func (i Inbox) Skip(ctx context.Context, stream eventstore.StreamID, version eventstore.Version) error {
	_, err := i.Store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{{
		Stream: stream, Expected: eventstore.Exactly(version - 1), Events: []eventstore.EventData{{Type: skippedType}},
	}}})
	if errors.Is(err, eventstore.ErrVersionConflict) && i.isSkipped(ctx, stream, version) {
		err = nil // and whoever did may have died before what follows
	}
	if err == nil {
		err = i.moveHeld(ctx, stream, version)
	}
	if err != nil {
		return fmt.Errorf("inbox: skip version %d of %s: %w", version, stream, err)
	}
	return nil
}

// isSkipped reports whether the version was skipped; if that cannot be read, it was not.
func (i Inbox) isSkipped(ctx context.Context, stream eventstore.StreamID, version eventstore.Version) bool {
	for event, err := range i.Store.ReadStream(ctx, stream, eventstore.StreamRange{After: version - 1, Through: version}) {
		return err == nil && event.Type == skippedType
	}
	return false
}

// GapError says which streams wait for events that have not come.
type GapError struct {
	Gaps []Gap
}

func (e *GapError) Error() string {
	const most = 5
	var text strings.Builder
	for n, gap := range e.Gaps[:min(len(e.Gaps), most)] {
		if n > 0 {
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, "%s waits for version %d", gap.Stream, gap.Missing)
	}
	return fmt.Sprintf("%d streams are not whole: %s; replay what the archive has of them, or skip what is missing", len(e.Gaps), text.String())
}
