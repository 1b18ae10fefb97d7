package commandtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
)

// Event is what an independent read of the log says of an event.
type Event struct {
	Position eventstore.Position
	Stream   eventstore.StreamID
	Version  eventstore.Version
	Type     string
	Data     []byte
}

// history is the log, replayed by hand.
type history struct {
	of       map[string][]Event              // by command
	balances map[eventstore.StreamID][]int64 // by version
	taken    map[eventstore.Position]string  // the e-mail that an event took
	holders  map[string]eventstore.StreamID  // of e-mails
	at       map[eventstore.StreamID][]eventstore.Position
	findings []string
}

func (h *history) findf(format string, args ...any) {
	h.findings = append(h.findings, fmt.Sprintf(format, args...))
}

func replay(log []Event) *history {
	h := &history{
		of: map[string][]Event{}, balances: map[eventstore.StreamID][]int64{}, taken: map[eventstore.Position]string{},
		holders: map[string]eventstore.StreamID{}, at: map[eventstore.StreamID][]eventstore.Position{},
	}
	for n, e := range log {
		if e.Position != eventstore.Position(n+1) {
			h.findf("position %d follows %d", e.Position, n)
		}
		if h.at[e.Stream] = append(h.at[e.Stream], e.Position); int(e.Version) != len(h.at[e.Stream]) {
			h.findf("version %d of %s is its event %d", e.Version, e.Stream, len(h.at[e.Stream]))
		}
		var data struct {
			Command, Email string
			Cents          int64
		}
		if err := json.Unmarshal(e.Data, &data); err != nil {
			h.findf("event at %d: %v", e.Position, err)
		}
		h.of[data.Command] = append(h.of[data.Command], e)
		h.apply(e, data.Cents, data.Email)
	}
	return h
}

func (h *history) apply(e Event, cents int64, email string) {
	switch e.Type {
	case "withdrawn":
		cents = -cents
	case "registered":
		if holder, held := h.holders[email]; held {
			h.findf("%s takes %s at %d, which %s holds", e.Stream, email, e.Position, holder)
		}
		h.holders[email], h.taken[e.Position] = e.Stream, email
	case "unregistered":
		delete(h.holders, email)
	}
	balance := h.balance(e.Stream, e.Version-1) + cents
	if h.balances[e.Stream] = append(h.balances[e.Stream], balance); balance < 0 {
		h.findf("%s has %d at version %d", e.Stream, balance, e.Version)
	}
}

func (h *history) balance(stream eventstore.StreamID, at eventstore.Version) int64 {
	if at == 0 || int(at) > len(h.balances[stream]) {
		return 0
	}
	return h.balances[stream][at-1]
}

// Check holds the answers against the log, and returns what is wrong: a command that took effect
// twice, or not although it was accepted, or although it was refused; a receipt that is not of the
// command's events; a refusal for a reason that never was.
func Check(log []Event, answers []Answered) []string {
	h := replay(log)
	for _, a := range answers {
		name, events := a.Command.Name(), h.of[a.Command.Name()]
		delete(h.of, name)
		switch {
		case a.Answer.Poor != nil:
			h.checkPoor(a, events)
		case a.Answer.Taken != nil:
			h.checkTaken(a, events)
		default:
			h.checkReceipt(a, events)
		}
	}
	for name, events := range h.of {
		h.findf("%d events of %s, which has no answer", len(events), name)
	}
	return h.findings
}

func (h *history) checkPoor(a Answered, events []Event) {
	if len(events) > 0 {
		h.findf("%s was refused (%v) and is in the log at %d", a.Command.Name(), a.Answer.Poor, events[0].Position)
	}
	poor := a.Answer.Poor
	if poor.Balance >= poor.Wanted || int(poor.Version) > len(h.balances[poor.Account]) || h.balance(poor.Account, poor.Version) != poor.Balance {
		h.findf("%s was refused for what never was: %v", a.Command.Name(), poor)
	}
}

func (h *history) checkTaken(a Answered, events []Event) {
	if len(events) > 0 {
		h.findf("%s was refused (%v) and is in the log at %d", a.Command.Name(), a.Answer.Taken, events[0].Position)
	}
	if by := a.Answer.Taken; "email:"+h.taken[by.Position] != by.Value || h.taken[by.Position] != a.Command.Email {
		h.findf("%s was refused for what never was: %v", a.Command.Name(), by)
	}
}

// effects are the events that each kind of command makes.
var effects = map[Kind][]string{
	Deposit:  {"deposited"},
	Withdraw: {"withdrawn"},
	Transfer: {"withdrawn", "deposited"},
	Exchange: {"withdrawn", "deposited"},
	Register: {"registered"},
	Look:     {},
}

func (h *history) checkReceipt(a Answered, events []Event) {
	want := effects[a.Command.Kind]
	if a.Command.Kind == Unregister && len(events) > 0 {
		want = []string{"unregistered"}
	}
	if len(events) != len(want) {
		h.findf("%s %s has %d events in the log, want %d", a.Command.Kind, a.Command.Name(), len(events), len(want))
		return
	}
	for n, e := range events {
		if e.Type != want[n] {
			h.findf("event %d of %s is %s, want %s", n+1, a.Command.Name(), e.Type, want[n])
		}
	}
	position, versions := h.expected(a, events)
	if got := a.Answer.Receipt; got.Token.Position != position || !maps.Equal(got.Versions, versions) {
		h.findf("the receipt of %s %s says position %d and %v, the log %d and %v", a.Command.Kind, a.Command.Name(), got.Token.Position, got.Versions, position, versions)
	}
}

// expected returns what the receipt of a command's last append must say.
func (h *history) expected(a Answered, events []Event) (eventstore.Position, map[eventstore.StreamID]eventstore.Version) {
	versions := map[eventstore.StreamID]eventstore.Version{}
	if len(events) == 0 { // it stands for the log up to the position
		position := a.Answer.Receipt.Token.Position
		for stream := range a.Answer.Receipt.Versions {
			versions[stream] = 0
			for _, at := range h.at[stream] {
				if at <= position {
					versions[stream]++
				}
			}
		}
		return position, versions
	}
	if a.Command.Kind == Transfer {
		events = events[1:]
	}
	for _, e := range events {
		versions[e.Stream] = e.Version
	}
	return events[len(events)-1].Position, versions
}

// CheckRepeats sends every accepted command again, and then another one under its id, and returns
// what is wrong: the first must get the receipt that the client has, the second is a mismatch.
func CheckRepeats(ctx context.Context, store eventstore.Store, answers []Answered) (findings []string) {
	bus := NewBus(store)
	findf := func(format string, args ...any) { findings = append(findings, fmt.Sprintf(format, args...)) }
	for _, a := range answers {
		first := a.Answer.Receipt
		if first == nil {
			continue
		}
		c := a.Command
		again, err := bus.Dispatch(ctx, c, command.ID(c.ID), command.Principal(c.Principal))
		if err != nil || !again.Repeated || again.Token != first.Token || !maps.Equal(again.Versions, first.Versions) {
			findf("%s %s again: %+v (%v), the first was %+v", c.Kind, c.Name(), again, err, *first)
		}
		c.Cents++
		if _, err := bus.Dispatch(ctx, c, command.ID(c.ID), command.Principal(c.Principal)); !errors.Is(err, eventstore.ErrIdempotencyMismatch) {
			findf("another command as %s: %v, want %v", c.Name(), err, eventstore.ErrIdempotencyMismatch)
		}
	}
	return findings
}

// Count says in a few words what the answers were.
func Count(answers []Answered) string {
	accepted, refused := 0, 0
	for _, a := range answers {
		if a.Answer.Receipt != nil {
			accepted++
		} else {
			refused++
		}
	}
	return fmt.Sprintf("%d commands, %d accepted, %d refused", len(answers), accepted, refused)
}
