package aggregatetest

import (
	"errors"
	"reflect"
	"testing"

	"github.com/leftfold/leftfold/aggregate"
)

// Scenario is a test of one aggregate's decisions.
type Scenario[S, E any] struct {
	t         testing.TB
	typ       *aggregate.Type[S, E]
	history   []E
	meanwhile []E
}

// For starts a scenario for an aggregate that has no events yet.
func For[S, E any](t testing.TB, typ *aggregate.Type[S, E]) *Scenario[S, E] {
	return &Scenario[S, E]{t: t, typ: typ}
}

// Given adds events that have happened before.
func (s *Scenario[S, E]) Given(events ...E) *Scenario[S, E] {
	s.t.Helper()
	s.history = append(s.history, s.stored(events)...)
	return s
}

// Meanwhile adds events that another writer appends after the next decision was made and before
// its events are. That is a conflict, so it is made again on what has happened by then, and the
// first outcome is forgotten: a decision that remembers it gives itself away.
func (s *Scenario[S, E]) Meanwhile(events ...E) *Scenario[S, E] {
	s.t.Helper()
	s.meanwhile = append(s.meanwhile, s.stored(events)...)
	return s
}

// When makes the decision on the state so far.
func (s *Scenario[S, E]) When(decide aggregate.Decision[S, E]) *Outcome[S, E] {
	s.t.Helper()
	if len(s.meanwhile) > 0 {
		_, _ = decide(s.state()) // lost to the conflict
		s.history, s.meanwhile = append(s.history, s.meanwhile...), nil
	}
	events, err := decide(s.state())
	again, errAgain := decide(s.state())
	if !reflect.DeepEqual(events, again) || !sameText(err, errAgain) {
		s.t.Errorf("the decision is not pure: on the same state it came first to\n\t%s\nand then to\n\t%s",
			describe(events, err), describe(again, errAgain))
	}
	return &Outcome[S, E]{scenario: s, events: s.stored(events), err: err}
}

// state folds the history afresh, because a decision may have changed what the last
// state's maps and slices hold.
func (s *Scenario[S, E]) state() S {
	var state S
	s.typ.Fold(&state, s.history...)
	return state
}

// Outcome is what a decision came to.
type Outcome[S, E any] struct {
	scenario *Scenario[S, E]
	events   []E
	err      error
}

// Then requires exactly these events, in this order; none means that nothing was to happen.
func (o *Outcome[S, E]) Then(want ...E) *Outcome[S, E] {
	o.scenario.t.Helper()
	if o.err != nil {
		o.scenario.t.Errorf("got  a refusal: %v\nwant %s", o.err, describe(want, nil))
		return o
	}
	if len(want) != len(o.events) || len(want) > 0 && !reflect.DeepEqual(o.events, want) {
		o.scenario.t.Errorf("got  %s\nwant %s", describe(o.events, nil), describe(want, nil))
	}
	return o
}

// ThenRefused requires that the decision was refused with an error that errors.Is
// finds the wanted one in.
func (o *Outcome[S, E]) ThenRefused(want error) {
	o.scenario.t.Helper()
	if !errors.Is(o.err, want) {
		o.scenario.t.Errorf("got  %s\nwant a refusal: %v", describe(o.events, o.err), want)
	}
}

// ThenState requires that the history and the decision's events fold into the state.
func (o *Outcome[S, E]) ThenState(want S) *Outcome[S, E] {
	o.scenario.t.Helper()
	if o.err != nil {
		o.scenario.t.Errorf("got  a refusal: %v\nwant state %+v", o.err, want)
		return o
	}
	got := o.scenario.state()
	o.scenario.typ.Fold(&got, o.events...)
	if !reflect.DeepEqual(got, want) {
		o.scenario.t.Errorf("got  state %+v\nwant state %+v", got, want)
	}
	return o
}
