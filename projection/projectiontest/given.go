package projectiontest

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
)

// Scenario is a story about a view: events that happened, then rows. Positions and
// versions count from 1; RecordedAt is the zero time.
type Scenario[R any] struct {
	t      testing.TB
	view   *projection.View[R]
	events *codec.Set
	log    []eventstore.Recorded
}

// Given starts a scenario for the view over the registered events.
func Given[R any](t testing.TB, view *projection.View[R], events *codec.Set) *Scenario[R] {
	t.Helper()
	return &Scenario[R]{t: t, view: view, events: events}
}

// Happened adds events to a stream, in order. They pass through the codec, as in
// production, so an event that is not registered or does not survive encoding ends the
// test here.
func (s *Scenario[R]) Happened(stream eventstore.StreamID, events ...any) *Scenario[R] {
	s.t.Helper()
	for _, event := range events {
		data, err := s.events.Encode(event)
		if err != nil {
			s.t.Fatalf("encode %T: %v", event, err)
		}
		data.ID, data.SchemaVersion = eventstore.NewEventID(), max(data.SchemaVersion, 1)
		s.log = append(s.log, eventstore.Recorded{
			EventData: data, Stream: stream,
			Version: s.versionOf(stream) + 1, Position: eventstore.Position(len(s.log) + 1),
		})
	}
	return s
}

func (s *Scenario[R]) versionOf(stream eventstore.StreamID) (v eventstore.Version) {
	for _, m := range s.log {
		if m.Stream == stream {
			v = m.Version
		}
	}
	return v
}

// Rows checks that the view has exactly these rows, by key, as a reader would return
// them. It says of each row what is wrong and ends the test only if the events cannot be
// folded, see [projection.View.Fold]. More may happen afterwards.
func (s *Scenario[R]) Rows(want map[string]R) {
	s.t.Helper()
	got, err := s.view.Fold(s.events, s.log)
	if err != nil {
		s.t.Fatalf("fold: %v", err)
	}
	for key := range got {
		if _, ok := want[key]; !ok {
			s.t.Errorf("row %q was not expected: %+v", key, got[key])
		}
	}
	for key, w := range want {
		if g, ok := got[key]; !ok {
			s.t.Errorf("row %q is missing, want %+v", key, w)
		} else if !reflect.DeepEqual(g, w) {
			s.t.Errorf("row %q:\n got %s\nwant %s", key, fmt.Sprintf("%+v", g), fmt.Sprintf("%+v", w))
		}
	}
}
