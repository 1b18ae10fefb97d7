package storecmd

import (
	"bytes"
	"context"
	"fmt"
	"math/bits"
	"time"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
)

// sinceTime returns from when on to look; zero: from the beginning.
func sinceTime(flag, id string, now time.Time) (time.Time, error) {
	switch flag {
	case "all":
		return time.Time{}, nil
	case "":
		return timeOf(id), nil
	}
	if ago, err := time.ParseDuration(flag); err == nil && ago > 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, flag); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("--since %s is neither a time such as 2026-11-26T18:00:00Z nor how long ago, such as 24h", flag)
}

// clocksDiffer is how far the clock of who made an id may be ahead of the store's.
const clocksDiffer = 10 * time.Minute

// timeOf returns a time before which there is nothing of the id, zero if it does not tell.
func timeOf(id string) time.Time {
	var uuid eventstore.EventID
	if uuid.UnmarshalText([]byte(id)) != nil || uuid[6]>>4 != 7 {
		return time.Time{}
	}
	var milliseconds int64 // since 1970, in the first six bytes
	for _, b := range uuid[:6] {
		milliseconds = milliseconds<<8 | int64(b)
	}
	return time.UnixMilli(milliseconds).Add(-clocksDiffer)
}

// traced is what was found, and where it was looked for: after one position, through another.
type traced struct {
	ID      string              `json:"id"`
	After   eventstore.Position `json:"after"`
	Through eventstore.Position `json:"through"`
	Events  []tracedEvent       `json:"events"`
}

type tracedEvent struct {
	Position    eventstore.Position `json:"position"`
	Stream      eventstore.StreamID `json:"stream"`
	Version     eventstore.Version  `json:"version"`
	Type        string              `json:"type"`
	ID          eventstore.EventID  `json:"event_id"`
	RecordedAt  time.Time           `json:"recorded_at"`
	Actor       string              `json:"actor,omitempty"`
	Command     string              `json:"command,omitempty"`
	Correlation string              `json:"correlation_id,omitempty"`
	Causation   string              `json:"causation_id,omitempty"`
}

const tellEvery = 10_000 // events

// find reads the log for the events of the conversation.
func (t *trace) find(ctx context.Context, log eventstore.LogReader, since time.Time) (found traced, err error) {
	head, err := log.Head(ctx)
	if err != nil {
		return found, err
	}
	found.ID = t.id
	if found.After, err = positionBefore(ctx, log, since, head.Position); err != nil {
		return found, err
	}
	if t.last > 0 {
		found.After = max(found.After, head.Position-eventstore.Position(t.last))
	}
	read, err := log.ReadLog(ctx, eventstore.LogQuery{After: found.After})
	if err != nil {
		return found, err
	}
	found.Through = read.Through.Position
	bar := cli.NewBar(t.stderr, fmt.Sprintf("read from position %d", found.After+1), int64(found.Through-found.After))
	defer func() { bar.Finish(err == nil) }()
	wanted := newWanted(t.id)
	for e, err := range read.Events() {
		if err != nil {
			return found, err
		}
		if event, ok := wanted.take(e); ok {
			found.Events = append(found.Events, event)
		}
		if done := e.Position - found.After; done%tellEvery == 0 || e.Position == found.Through {
			bar.Set(int64(done), fmt.Sprintf("%s of %s events, %d found", cli.Thousands(done), cli.Thousands(found.Through-found.After), len(found.Events)))
		}
	}
	return found, nil
}

// positionBefore returns a position up to which there is nothing recorded since. It looks at as many
// events as the head has bits, and takes the store's clock to have gone forwards; where it was set
// back, the place may be off by the events of that time.
func positionBefore(ctx context.Context, log eventstore.LogReader, since time.Time, head eventstore.Position) (eventstore.Position, error) {
	if since.IsZero() {
		return 0, nil
	}
	low, high := eventstore.Position(0), head // what is at or before low is older
	for range bits.Len64(uint64(head)) + 1 {
		if low >= high {
			break
		}
		middle := low + (high-low+1)/2
		at, err := recordedAt(ctx, log, middle)
		if err != nil {
			return 0, err
		}
		if at.Before(since) {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low, nil
}

func recordedAt(ctx context.Context, log eventstore.LogReader, at eventstore.Position) (time.Time, error) {
	read, err := log.ReadLog(ctx, eventstore.LogQuery{After: at - 1, Through: at})
	if err != nil {
		return time.Time{}, err
	}
	for e, err := range read.Events() {
		return e.RecordedAt, err
	}
	return time.Time{}, fmt.Errorf("the log has no event at position %d", at)
}

// wanted are the conversations to look for. The events of a conversation stand behind what began
// it, so one pass finds them: the first that names the command tells which conversation it is.
type wanted struct {
	id            string
	conversations map[string]bool
	texts         [][]byte // any event that is wanted has one of them in its metadata
}

func newWanted(id string) *wanted {
	w := &wanted{id: id, conversations: map[string]bool{}}
	w.add(id)
	return w
}

func (w *wanted) add(conversation string) {
	if conversation == "" || w.conversations[conversation] {
		return
	}
	w.conversations[conversation] = true
	text := eventstore.Metadata{"": conversation}.Encode() // as it stands in metadata
	w.texts = append(w.texts, bytes.TrimSuffix(bytes.TrimPrefix(text, []byte(`{"":`)), []byte(`}`)))
}

// take returns the event if it is of a conversation that is wanted.
func (w *wanted) take(e eventstore.Recorded) (tracedEvent, bool) {
	itself := e.ID.String() == w.id
	if !itself && !w.mayBe(e.Metadata) {
		return tracedEvent{}, false
	}
	m, err := eventstore.ParseMetadata(e.Metadata)
	if err != nil {
		m = nil
	}
	of := m[eventstore.MetadataCorrelationID]
	if itself || m[eventstore.MetadataCausationID] == w.id {
		w.add(of)
	} else if of == "" || !w.conversations[of] {
		return tracedEvent{}, false
	}
	return tracedEvent{
		Position: e.Position, Stream: e.Stream, Version: e.Version, Type: e.Type, ID: e.ID, RecordedAt: e.RecordedAt,
		Actor: m[eventstore.MetadataActor], Command: m[eventstore.MetadataCommand],
		Correlation: of, Causation: m[eventstore.MetadataCausationID],
	}, true
}

// mayBe is fast, and never wrong when it says no.
func (w *wanted) mayBe(metadata []byte) bool {
	for _, text := range w.texts {
		if bytes.Contains(metadata, text) {
			return true
		}
	}
	return false
}
