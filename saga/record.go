package saga

import (
	"encoding/json"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// record is an event of an instance's stream. Those that the instance is told carry the time of
// the worker that told it; what it decides because of them stands behind them in the same append.
type record any

// What an instance is told.
type (
	// observed is an event of another stream. It is kept as it would be written today, so that it
	// is upcast with the others of its type from then on.
	observed struct {
		Store         string
		ID            eventstore.EventID
		Part          int `json:",omitzero"` // of an old event that stands for several of today's
		Stream        eventstore.StreamID
		Version       eventstore.Version
		Position      eventstore.Position
		RecordedAt    time.Time
		Type          string
		SchemaVersion int
		JSON          json.RawMessage  `json:",omitempty"` // the payload, if it is JSON,
		Bytes         []byte           `json:",omitempty"` // and if it is not
		Metadata      []byte           `json:",omitempty"`
		Tags          []eventstore.Tag `json:",omitempty"`
		Begins        bool             `json:",omitzero"`
		Sends         []send           `json:",omitempty"` // what a reaction to it returned
		At            time.Time
	}
	timerFired struct {
		ID string
		At time.Time
	}
	commandDone struct {
		ID      string
		Attempt int
		At      time.Time
	}
	commandRefused struct {
		ID      string
		Attempt int
		Reason  string
		At      time.Time
	}
	commandFailed struct {
		ID      string
		Attempt int
		Reason  string
		After   time.Duration `json:",omitzero"` // that is asked for before the next attempt
		At      time.Time
	}
	resumed struct {
		Note string `json:",omitempty"`
		At   time.Time
	}
)

// What it decides.
type (
	stepStarted   struct{ Step string }
	stepCompleted struct{ Step string }
	stepFailed    struct{ Step, Reason string }
	// stepAbandoned is a step that is not waited for any more, and may yet be done.
	stepAbandoned    struct{ Step, Reason string }
	stepUndone       struct{ Step string }
	commandRequested struct {
		ID      string
		Step    string
		Undoes  bool `json:",omitzero"`
		Must    bool `json:",omitzero"` // there is no way on without it
		Attempt int
		Beside  bool `json:",omitzero"` // another request stands before it in the append: it may go side by side with that
		send
	}
	timerSet struct {
		ID      string
		Name    string
		Step    string    `json:",omitempty"` // whose timeout it is
		Command string    `json:",omitempty"` // or which command is dispatched again
		Due     time.Time // with microseconds
	}
	timerCancelled struct{ ID string }
	compensating   struct{ Reason string }
	stuck          struct{ Step, Command, Reason string }
	unstuck        struct{}
	ended          struct{ Phase Phase }
)

// send is a command without its id.
type send struct {
	Name    string
	Payload json.RawMessage `json:",omitempty"` // of the first attempt's request; the others are for the same
}

// definitions are the types of the records. They are the same for all sagas.
var definitions = []codec.Definition{
	codec.Event[observed](observedType),
	codec.Event[timerFired]("saga.timer.fired"),
	codec.Event[commandDone]("saga.command.done"),
	codec.Event[commandRefused]("saga.command.refused"),
	codec.Event[commandFailed]("saga.command.failed"),
	codec.Event[resumed]("saga.resumed"),
	codec.Event[stepStarted]("saga.step.started"),
	codec.Event[stepCompleted]("saga.step.completed"),
	codec.Event[stepFailed]("saga.step.failed"),
	codec.Event[stepAbandoned]("saga.step.abandoned"),
	codec.Event[stepUndone]("saga.step.undone"),
	codec.Event[commandRequested](requestedType),
	codec.Event[timerSet]("saga.timer.set"),
	codec.Event[timerCancelled]("saga.timer.cancelled"),
	codec.Event[compensating]("saga.compensating"),
	codec.Event[stuck]("saga.stuck"),
	codec.Event[unstuck]("saga.unstuck"),
	codec.Event[ended]("saga.ended"),
}

// records reads them.
var records = mustSet(codec.NewSet(definitions...))

func mustSet(set *codec.Set, err error) *codec.Set {
	if err != nil {
		panic(err) // TestRecords would have told
	}
	return set
}

// Types that the log is read for.
const (
	observedType  = "saga.observed"
	requestedType = "saga.command.requested"
)

// toldAt returns the time at which an instance was told something, and whether the record is such.
func toldAt(r record) (time.Time, bool) {
	switch r := r.(type) {
	case observed:
		return r.At, true
	case timerFired:
		return r.At, true
	case commandDone:
		return r.At, true
	case commandRefused:
		return r.At, true
	case commandFailed:
		return r.At, true
	case resumed:
		return r.At, true
	}
	return time.Time{}, false
}

// observe returns the record of an event, one of today's values that it stands for.
func observe(set *codec.Set, source eventstore.StoreID, m *eventstore.Recorded, part int, value any) (observed, error) {
	data, err := set.Encode(value)
	if err != nil {
		return observed{}, err
	}
	o := observed{
		Store: source.String(), ID: m.ID, Part: part, Stream: m.Stream, Version: m.Version, Position: m.Position,
		RecordedAt: m.RecordedAt, Type: data.Type, SchemaVersion: data.SchemaVersion, Metadata: m.Metadata, Tags: m.Tags,
	}
	if json.Valid(data.Data) {
		o.JSON = data.Data
	} else {
		o.Bytes = data.Data
	}
	return o, nil
}

// event returns what was observed as it was recorded.
func (o observed) event() eventstore.Recorded {
	data := o.Bytes
	if o.JSON != nil {
		data = o.JSON
	}
	return eventstore.Recorded{
		EventData: eventstore.EventData{ID: o.ID, Type: o.Type, SchemaVersion: o.SchemaVersion, Data: data, Metadata: o.Metadata, Tags: o.Tags},
		Stream:    o.Stream, Version: o.Version, Position: o.Position, RecordedAt: o.RecordedAt,
	}
}
