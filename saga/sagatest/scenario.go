// Package sagatest tests sagas without a store: given events and a clock that moves by hand, then
// commands.
//
//	sagatest.For(t, Transfers, "42").
//		When(Requested{ID: "42", From: "ann", To: "bob", Cents: 30}).
//		ThenSends(account.Withdraw{Account: "ann", Cents: 30}).
//		Handled().
//		ThenSends(account.Deposit{Account: "bob", Cents: 30}).
//		Refused(account.ErrClosed).
//		ThenSends(account.Deposit{Account: "ann", Cents: 30}).
//		Handled().
//		ThenIs(saga.Compensated)
//
// Every decision goes through what a store would keep of it, so that what cannot be stored fails
// here already.
package sagatest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/saga"
)

// Scenario is a test of one instance of a saga.
type Scenario[S any] struct {
	t        testing.TB
	instance *saga.Rehearsal[S]
	stream   eventstore.StreamID
	seen     int // entries of the timeline that were there before the last step
}

// Start is the time at which every scenario begins.
var Start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// For starts a scenario of the instance with the id, which has not begun yet.
func For[S any](t testing.TB, typ *saga.Type[S], id string) *Scenario[S] {
	return &Scenario[S]{t: t, instance: typ.Rehearse(id, Start), stream: "given-1"}
}

// In says in which stream the events that follow happen. It matters to sagas that look at it.
// Default: "given-1".
func (s *Scenario[S]) In(stream eventstore.StreamID) *Scenario[S] {
	s.stream = stream
	return s
}

// When tells the instance events, one after the other.
func (s *Scenario[S]) When(events ...any) *Scenario[S] {
	s.t.Helper()
	s.begin()
	for _, event := range events {
		if err := s.instance.Event(s.t.Context(), s.stream, event); err != nil {
			s.t.Errorf("when %T happens: %v", event, err)
		}
	}
	return s
}

// Handled says that all commands that were sent have been handled.
func (s *Scenario[S]) Handled() *Scenario[S] { s.t.Helper(); return s.answered(nil) }

// Refused says that all commands that were sent have been refused.
func (s *Scenario[S]) Refused(why error) *Scenario[S] {
	s.t.Helper()
	return s.answered(saga.Refused(why))
}

// Unanswered says that nobody knows what became of the commands that were sent: an attempt has
// failed.
func (s *Scenario[S]) Unanswered() *Scenario[S] {
	s.t.Helper()
	return s.answered(errors.New("no answer"))
}

// HandledOnly is [Scenario.Handled] for the commands of one name; the others are still under way.
func (s *Scenario[S]) HandledOnly(name string) *Scenario[S] { s.t.Helper(); return s.answer(name, nil) }

// RefusedOnly is [Scenario.Refused] for the commands of one name; the others are still under way.
func (s *Scenario[S]) RefusedOnly(name string, why error) *Scenario[S] {
	s.t.Helper()
	return s.answer(name, saga.Refused(why))
}

func (s *Scenario[S]) answered(outcome error) *Scenario[S] {
	s.t.Helper()
	return s.answer("", outcome)
}

func (s *Scenario[S]) answer(name string, outcome error) *Scenario[S] {
	s.t.Helper()
	s.begin()
	sent := s.instance.Commands()
	if name != "" {
		sent = slices.DeleteFunc(sent, func(c saga.Command) bool { return c.Name != name })
	}
	if len(sent) == 0 {
		s.t.Errorf("no command %s is under way", name)
	}
	for _, c := range sent {
		if err := s.instance.Handled(c.ID, outcome); err != nil {
			s.t.Errorf("when %s was handled: %v", c.Name, err)
		}
	}
	return s
}

// After moves the clock; timers that become due on the way fire.
func (s *Scenario[S]) After(d time.Duration) *Scenario[S] {
	s.t.Helper()
	s.begin()
	if err := s.instance.Wait(d); err != nil {
		s.t.Errorf("after %s: %v", d, err)
	}
	return s
}

// Resumed has the stuck instance try again.
func (s *Scenario[S]) Resumed() *Scenario[S] {
	s.t.Helper()
	s.begin()
	if err := s.instance.Resume(""); err != nil {
		s.t.Error(err)
	}
	return s
}

func (s *Scenario[S]) begin() { s.seen = len(s.instance.Timeline()) }

// ThenSends requires that the last step has sent these commands, in this order, and no others. They
// are compared as JSON.
func (s *Scenario[S]) ThenSends(want ...any) *Scenario[S] {
	s.t.Helper()
	var got, wanted []string
	for _, e := range s.instance.Timeline()[s.seen:] {
		if e.Payload != nil {
			got = append(got, canonical(s.t, e.Payload))
		}
	}
	for _, c := range want {
		encoded, err := json.Marshal(c)
		if err != nil {
			s.t.Errorf("encode %T: %v", c, err)
		}
		wanted = append(wanted, canonical(s.t, encoded))
	}
	if !slices.Equal(got, wanted) {
		s.t.Errorf("got  commands %s\nwant commands %s\n%s", described(got), described(wanted), s.story())
	}
	return s
}

// ThenIs requires that the instance is in the phase.
func (s *Scenario[S]) ThenIs(want saga.Phase) *Scenario[S] {
	s.t.Helper()
	if got := s.instance.Phase(); got != want {
		s.t.Errorf("got  %s\nwant %s\n%s", got, want, s.story())
	}
	return s
}

// ThenState requires what the instance knows.
func (s *Scenario[S]) ThenState(want S) *Scenario[S] {
	s.t.Helper()
	if got := s.instance.State(); !reflect.DeepEqual(got, want) {
		s.t.Errorf("got  state %+v\nwant state %+v", got, want)
	}
	return s
}

// ThenTimers requires that timers of these names are pending, the first one that is due first.
func (s *Scenario[S]) ThenTimers(want ...string) *Scenario[S] {
	s.t.Helper()
	var got []string
	for _, timer := range s.instance.Timers() {
		got = append(got, timer.Name)
	}
	if !slices.Equal(got, want) {
		s.t.Errorf("got  timers %q\nwant timers %q\n%s", got, want, s.story())
	}
	return s
}

// Timeline returns all that has happened so far.
func (s *Scenario[S]) Timeline() []saga.Entry { return s.instance.Timeline() }

// story is what has happened, for the message of a test that fails.
func (s *Scenario[S]) story() string {
	var text strings.Builder
	text.WriteString("what happened:")
	for _, e := range s.instance.Timeline() {
		fmt.Fprintf(&text, "\n\t%d. %s", e.Version, e)
	}
	return text.String()
}

func described(commands []string) string {
	if len(commands) == 0 {
		return "none"
	}
	return strings.Join(commands, ", ")
}

func canonical(t testing.TB, payload []byte) string {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(payload))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Errorf("read a command: %v", err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Errorf("write a command: %v", err)
	}
	return string(text)
}
