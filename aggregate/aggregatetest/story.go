package aggregatetest

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
)

// Story is a test of code that executes decisions, such as a command's handler: on a store, with
// what a [Scenario] leaves out. It is for metadata, times, command ids, and other writers.
type Story[S, E any] struct {
	t         testing.TB
	typ       *aggregate.Type[S, E]
	store     aggregate.Store
	before    map[string]eventstore.Version // what was given
	meanwhile []func()
}

// In starts a story in the store, such as memory.NewStore(). For a story about times, give it a
// store whose clock the test moves.
func In[S, E any](t testing.TB, store aggregate.Store, typ *aggregate.Type[S, E]) *Story[S, E] {
	return &Story[S, E]{t: t, typ: typ, store: store, before: map[string]eventstore.Version{}}
}

// Given appends events that have happened before.
func (s *Story[S, E]) Given(id string, events ...E) *Story[S, E] {
	s.t.Helper()
	s.before[id] += s.append(id, events)
	return s
}

// Meanwhile has another writer append these events between the decision of the next When and its
// append, which is a conflict therefore. The decision is then made again. Several calls are
// several conflicts.
func (s *Story[S, E]) Meanwhile(id string, events ...E) *Story[S, E] {
	s.t.Helper()
	s.meanwhile = append(s.meanwhile, func() { s.before[id] += s.append(id, events) })
	return s
}

func (s *Story[S, E]) append(id string, events []E) eventstore.Version {
	s.t.Helper()
	write := eventstore.Write{Stream: s.typ.Stream(id)}
	for _, event := range events {
		data, err := s.typ.Events().Encode(event)
		if err != nil {
			s.t.Errorf("event %s cannot be stored: %v", render(event), err)
			return 0
		}
		write.Events = append(write.Events, data)
	}
	if _, err := s.store.Append(s.t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{write}}); err != nil {
		s.t.Errorf("append what was given of %s: %v", write.Stream, err)
	}
	return eventstore.Version(len(events))
}

// When runs the code under test with a repository in the story's store.
func (s *Story[S, E]) When(act func(ctx context.Context, repository *aggregate.Repository[S, E]) error) *Sequel[S, E] {
	s.t.Helper()
	err := act(s.t.Context(), aggregate.NewRepository(interrupted[S, E]{s.store, s}, s.typ))
	if len(s.meanwhile) > 0 {
		s.t.Errorf("%d conflicts were to come of Meanwhile, and nothing was appended that could meet them", len(s.meanwhile))
	}
	return &Sequel[S, E]{story: s, err: err}
}

// interrupted is the store, with another writer who comes first.
type interrupted[S, E any] struct {
	aggregate.Store
	story *Story[S, E]
}

func (i interrupted[S, E]) Append(ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
	if left := i.story.meanwhile; len(left) > 0 {
		i.story.meanwhile = left[1:]
		left[0]()
	}
	return i.Store.Append(ctx, r)
}

// Sequel is what came of a [Story.When].
type Sequel[S, E any] struct {
	story *Story[S, E]
	err   error
}

// Then requires that exactly these events were appended to the aggregate, in this order, and that
// there was no error.
func (q *Sequel[S, E]) Then(id string, want ...E) *Sequel[S, E] {
	q.story.t.Helper()
	if q.err != nil {
		q.story.t.Errorf("got  an error: %v\nwant %s", q.err, describe(want, nil))
		return q
	}
	var got []E
	for _, recorded := range q.appended(id) {
		decoded, err := q.story.typ.Events().Decode(recorded)
		if err != nil {
			q.story.t.Errorf("decode what was appended: %v", err)
		}
		for _, event := range decoded {
			got = append(got, event.(E)) // aggregate.Define has checked that every event is an E
		}
	}
	if len(want) != len(got) || len(want) > 0 && !reflect.DeepEqual(got, want) {
		q.story.t.Errorf("%s\ngot  %s\nwant %s", q.story.typ.Stream(id), describe(got, nil), describe(want, nil))
	}
	return q
}

// ThenFails requires an error that errors.Is finds the wanted one in.
func (q *Sequel[S, E]) ThenFails(want error) *Sequel[S, E] {
	q.story.t.Helper()
	if !errors.Is(q.err, want) {
		q.story.t.Errorf("got  error %v\nwant error %v", q.err, want)
	}
	return q
}

// ThenMetadata requires that each event appended to the aggregate has at least these metadata.
func (q *Sequel[S, E]) ThenMetadata(id string, want eventstore.Metadata) *Sequel[S, E] {
	q.story.t.Helper()
	for _, recorded := range q.appended(id) {
		got, err := eventstore.ParseMetadata(recorded.Metadata)
		if err != nil {
			q.story.t.Errorf("version %d of %s: %v", recorded.Version, recorded.Stream, err)
		}
		for key, value := range want {
			if got[key] != value {
				q.story.t.Errorf("version %d of %s\ngot  metadata %v\nwant %s=%s", recorded.Version, recorded.Stream, got, key, value)
			}
		}
	}
	return q
}

// ThenStateAsOf requires the state that the aggregate had at a time, by the clock of the store.
func (q *Sequel[S, E]) ThenStateAsOf(id string, at time.Time, want S) *Sequel[S, E] {
	q.story.t.Helper()
	got, _, err := aggregate.NewRepository(q.story.store, q.story.typ).LoadAsOf(q.story.t.Context(), id, at)
	if err != nil || !reflect.DeepEqual(got, want) {
		q.story.t.Errorf("%s as of %s\ngot  state %+v, error %v\nwant state %+v", q.story.typ.Stream(id), at.Format(time.RFC3339), got, err, want)
	}
	return q
}

// appended returns the events of the aggregate that were not given.
func (q *Sequel[S, E]) appended(id string) []eventstore.Recorded {
	q.story.t.Helper()
	var events []eventstore.Recorded
	for recorded, err := range q.story.store.ReadStream(q.story.t.Context(), q.story.typ.Stream(id), eventstore.StreamRange{After: q.story.before[id]}) {
		if err != nil {
			q.story.t.Errorf("read what was appended: %v", err)
			break
		}
		events = append(events, recorded)
	}
	return events
}
