package aggregatetest

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
)

// stored returns the events as a store would give them back, and fails the test for
// those that come back different.
func (s *Scenario[S, E]) stored(events []E) []E {
	s.t.Helper()
	stored := make([]E, 0, len(events))
	for _, event := range events {
		back, err := s.roundTrip(event)
		if err != nil {
			s.t.Errorf("event %s cannot be stored: %v", render(event), err)
			continue
		}
		if !reflect.DeepEqual(back, []any{event}) {
			s.t.Errorf("event %s comes back from the store as %s: it loses something in its stored form", render(event), renderAll(back))
		}
		for _, b := range back {
			stored = append(stored, b.(E)) // aggregate.Define has checked that every event is an E
		}
	}
	return stored
}

func (s *Scenario[S, E]) roundTrip(event E) ([]any, error) {
	data, err := s.typ.Events().Encode(event)
	if err != nil {
		return nil, err
	}
	stream := s.typ.Stream("test")
	for _, tag := range data.Tags {
		if err := tag.Validate(); err != nil {
			return nil, err
		}
	}
	return s.typ.Events().Decode(eventstore.Recorded{EventData: data, Stream: stream, Version: 1, Position: 1})
}

func describe[E any](events []E, err error) string {
	if err != nil {
		return "a refusal: " + err.Error()
	}
	if len(events) == 0 {
		return "no events"
	}
	return "events " + renderAll(events)
}

func renderAll[E any](events []E) string {
	all := make([]string, len(events))
	for n, event := range events {
		all[n] = render(event)
	}
	return strings.Join(all, ", ")
}

// render shows an event with its type, which %+v leaves out.
func render(event any) string { return fmt.Sprintf("%T%+v", event, event) }

func sameText(a, b error) bool { return fmt.Sprint(a) == fmt.Sprint(b) }
