package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
)

// state is what an aggregate was at a moment, and the event that made it so.
type state struct {
	Stream     eventstore.StreamID `json:"stream"`
	Version    eventstore.Version  `json:"version"`
	Position   eventstore.Position `json:"position"`
	RecordedAt time.Time           `json:"recorded_at,omitzero"`
	Type       string              `json:"type,omitempty"`
	State      json.RawMessage     `json:"state"`
}

// typed are the aggregates of one type.
type typed[S, E any] struct {
	*aggregate.Type[S, E]

	repository *aggregate.Repository[S, E]
	store      eventstore.StreamReader
}

func (t *typed[S, E]) stateAt(ctx context.Context, id string, at moment) (state, error) {
	last, err := lastOf(ctx, t.store, t.Stream(id), at)
	if err != nil {
		return state{}, err
	}
	folded, err := t.repository.LoadAt(ctx, id, last.Version)
	if err != nil {
		return state{}, err
	}
	text, err := json.Marshal(folded)
	if err != nil {
		return state{}, fmt.Errorf("show the state of %s: %w", last.Stream, err)
	}
	return state{t.Stream(id), last.Version, last.Position, last.RecordedAt, last.Type, text}, nil
}

// lastOf returns the last event of the longest beginning of a stream that is all at or before a moment:
// clocks may run backwards, and a state without one of its earlier events never existed.
func lastOf(ctx context.Context, store eventstore.StreamReader, stream eventstore.StreamID, at moment) (last eventstore.Recorded, err error) {
	in := eventstore.StreamRange{}
	if at.isNow() {
		in = eventstore.StreamRange{Backwards: true, Limit: 1}
	}
	var first *eventstore.Recorded // that is after the moment
	for e, err := range store.ReadStream(ctx, stream, in) {
		if err != nil {
			return last, fmt.Errorf("read %s: %w", stream, err)
		}
		if !at.has(e) {
			first = &e
			break
		}
		last = e
	}
	switch {
	case at.start && first != nil:
		return eventstore.Recorded{Stream: stream}, nil
	case last.Version == 0 && first == nil:
		return last, fmt.Errorf("there is no stream %s", stream)
	case last.Version == 0:
		return last, fmt.Errorf("%s had no event at %s: its first one is at position %d, of %s", stream, at, first.Position, first.RecordedAt.UTC().Format(time.RFC3339Nano))
	case last.Version < at.version:
		return last, fmt.Errorf("%s is at version %d, and has no version %d", stream, last.Version, at.version)
	}
	return last, nil
}
