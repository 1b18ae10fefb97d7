package saga

import (
	"fmt"
	"reflect"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// Definition describes a saga whose instances have a state of type S: a plain struct, the fold of
// the events that the instance was told.
type Definition[S any] struct {
	// Events are the types that the events are stored as: those of the aggregates that the saga
	// listens to. Required.
	Events []*codec.Set

	// On says which events the saga is told: of which instance each is, and what it does to the
	// state. At least one begins an instance. A rule that is added later is told what the log has from then on. Required.
	On []Rule[S]

	// Steps are done one after the other, but for those that are [Step].Together. Required.
	Steps []Step[S]

	// Since keeps history from being acted on: an event that was recorded before it begins no
	// instance. Default: every event does, also those from before the saga was written.
	Since time.Time

	// Retry says how a command is tried again that could not be delivered.
	Retry Retry
}

// Step is one action of a saga, and what undoes it.
type Step[S any] struct {
	// Name is for ever, as the name of an event is: running instances hold it. Required.
	Name string

	// Do is the command that the step asks for. Default: none, the step waits for its events.
	Do Action[S]

	// Done are the events that complete the step. Events count from the start of the step on.
	// Default: the step is complete when its command was handled.
	Done []Match

	// Failed are the events that say that the step will not be done. So does the refusal of its
	// command. The step itself is not undone then; those that are complete are.
	Failed []Match

	// Timeout is how long the step may take, at most a hundred years. A step that is late may be done all the same; so it
	// counts as failed, and is undone with the others once it is known what became of its command. If there is
	// nothing to undo, its command is not tried any more.
	// Default: it may take for ever.
	Timeout time.Duration

	// Undo is the command that makes a completed step undone. It must not be refused: if it is, it
	// is tried again, and then the instance is stuck. Default: there is nothing to undo.
	Undo Action[S]

	// Together starts the step with the one before it, not after it.
	Together bool
}

// Retry says how a command is tried again whose delivery failed, or that must not be refused and
// was. The pause after the first attempt is First, each further one twice as long up to Most; all
// of them less up to a half, so that not all come back at one moment.
type Retry struct {
	// First is the first pause. Default: 1 s.
	First time.Duration
	// Most is the longest pause. Default: 5 min.
	Most time.Duration
	// Attempts is how often a command is tried before the instance is stuck. Default: 15, about
	// an hour.
	Attempts int
}

// Rule says what one type of event does to an instance. Make one with [Begin] or [On].
type Rule[S any] struct {
	event  reflect.Type
	begins bool
	id     func(event any, m *eventstore.Recorded) string
	fold   func(state *S, event any, m *eventstore.Recorded)
}

// Begin says that an event of type E begins the instance that id names. For an instance that is
// there already the event means nothing. The id is the part of a stream's name behind the dash,
// such as "42"; for an empty one nothing begins. It must be the same in all builds that run at a time. fold puts what the saga needs into its state; it is
// pure, and may be nil. m holds the event as it was recorded.
func Begin[S, E any](id func(event E, m eventstore.Recorded) string, fold func(state *S, event E, m eventstore.Recorded)) Rule[S] {
	rule := On(id, fold)
	rule.begins = true
	return rule
}

// On says that an event of type E is told to the instance that id names, if it has begun and has
// not ended. For the rest it is [Begin].
func On[S, E any](id func(event E, m eventstore.Recorded) string, fold func(state *S, event E, m eventstore.Recorded)) Rule[S] {
	rule := Rule[S]{event: reflect.TypeFor[E]()}
	if id != nil {
		rule.id = func(event any, m *eventstore.Recorded) string { return id(event.(E), *m) }
	}
	if fold != nil {
		rule.fold = func(state *S, event any, m *eventstore.Recorded) { fold(state, event.(E), *m) }
	}
	return rule
}

// Match selects events that complete or fail a step. Make one with [By] or [ByIf].
type Match struct {
	event reflect.Type
	is    func(event any) bool
}

// By selects all events of type E.
func By[E any]() Match {
	return Match{event: reflect.TypeFor[E](), is: func(any) bool { return true }}
}

// ByIf selects the events of type E that is holds for. It is pure.
func ByIf[E any](is func(event E) bool) Match {
	m := Match{event: reflect.TypeFor[E]()}
	if is != nil {
		m.is = func(event any) bool { return is(event.(E)) }
	}
	return m
}

// Action makes a command from the state of an instance. Make one with [Send].
type Action[S any] struct {
	name  string
	build func(state S) any
	goes  bool
}

// Send returns the action of sending the command that build makes, a pure function of the state. The name
// is the one under which the command is handled, such as "account.withdraw". The command is
// recorded as encoding/json writes it.
func Send[S, C any](name string, build func(state S) C) Action[S] {
	a := Action[S]{name: name, goes: true}
	if build != nil {
		a.build = func(state S) any { return build(state) }
	}
	return a
}

func (m Match) selects(event any) bool { return reflect.TypeOf(event) == m.event && m.is(event) }

func (m Match) String() string { return fmt.Sprint(m.event) }
