package saga

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Entry is one thing that happened to an instance.
type Entry struct {
	// Kind is the type of the record: "saga.command.requested", say.
	Kind string
	// Told reports whether the instance was told it. The entries behind it, up to the next one that
	// it was told, are what it decided because of it.
	Told bool
	// Version and RecordedAt are those of the record in the instance's stream.
	Version    eventstore.Version
	RecordedAt time.Time

	Event   *eventstore.Recorded // that was observed
	Step    string
	Command string          // its id,
	Name    string          // its name, or the timer's
	Payload json.RawMessage // of a command that was requested
	Attempt int
	Undoes  bool
	Timer   string    // its id
	Due     time.Time // of a timer that was set
	Reason  string
	Phase   Phase // in which the instance ended
}

// String returns the entry as a phrase.
func (e Entry) String() string {
	var text strings.Builder
	text.WriteString(strings.ReplaceAll(strings.TrimPrefix(e.Kind, "saga."), ".", " "))
	if e.Event != nil {
		fmt.Fprintf(&text, " %s of %s", e.Event.Type, e.Event.Stream)
	}
	switch {
	case e.Undoes:
		fmt.Fprintf(&text, ": to undo step %s", e.Step)
	case e.Step != "":
		fmt.Fprintf(&text, ": step %s", e.Step)
	}
	if e.Name != "" {
		fmt.Fprintf(&text, ", %s", e.Name)
	}
	if e.Payload != nil {
		fmt.Fprintf(&text, " %s", e.Payload)
	}
	if e.Attempt > 1 {
		fmt.Fprintf(&text, ", attempt %d", e.Attempt)
	}
	if !e.Due.IsZero() {
		fmt.Fprintf(&text, ", due %s", e.Due.Format(time.RFC3339))
	}
	if e.Reason != "" {
		fmt.Fprintf(&text, ": %s", e.Reason)
	}
	if e.Phase != "" {
		fmt.Fprintf(&text, ": %s", e.Phase)
	}
	return text.String()
}

// Timeline returns all that has happened to an instance, oldest first: what it was told, the
// commands that it requested with every attempt and its outcome, its timers, and how it ended.
// One that never began has no entries.
func (t *Type[S]) Timeline(ctx context.Context, store eventstore.StreamReader, id string) ([]Entry, error) {
	return timelineOf(ctx, store, t.Stream(id))
}

func timelineOf(ctx context.Context, store eventstore.StreamReader, stream eventstore.StreamID) (entries []Entry, err error) {
	for m, err := range store.ReadStream(ctx, stream, eventstore.StreamRange{}) {
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", stream, err)
		}
		values, err := records.Decode(m)
		if err != nil {
			return nil, err
		}
		for _, value := range values {
			e := entryOf(value)
			e.Kind, e.Version, e.RecordedAt = m.Type, m.Version, m.RecordedAt
			entries = append(entries, e)
		}
	}
	return withNames(entries), nil
}

// withNames gives the results of commands, and what became of timers, the names and steps that they were
// requested and set with, and further attempts the payload of the first one.
func withNames(entries []Entry) []Entry {
	of := map[string]Entry{}
	for n := range entries {
		e := &entries[n]
		id := e.Command + e.Timer
		if known, ok := of[id]; ok {
			e.Step, e.Name, e.Undoes = known.Step, known.Name, known.Undoes
			if e.Kind == requestedType && e.Payload == nil {
				e.Payload = known.Payload
			}
		} else if id != "" && e.Name != "" {
			of[id] = *e
		}
	}
	return entries
}

func entryOf(r record) Entry {
	switch r := r.(type) {
	case observed:
		event := r.event()
		return Entry{Told: true, Event: &event}
	case timerFired:
		return Entry{Told: true, Timer: r.ID}
	case commandDone:
		return Entry{Told: true, Command: r.ID, Attempt: r.Attempt}
	case commandRefused:
		return Entry{Told: true, Command: r.ID, Attempt: r.Attempt, Reason: r.Reason}
	case commandFailed:
		return Entry{Told: true, Command: r.ID, Attempt: r.Attempt, Reason: r.Reason}
	case resumed:
		return Entry{Told: true, Reason: r.Note}
	case stepStarted:
		return Entry{Step: r.Step}
	case stepCompleted:
		return Entry{Step: r.Step}
	case stepFailed:
		return Entry{Step: r.Step, Reason: r.Reason}
	case stepAbandoned:
		return Entry{Step: r.Step, Reason: r.Reason}
	case stepUndone:
		return Entry{Step: r.Step}
	case commandRequested:
		return Entry{Step: r.Step, Command: r.ID, Name: r.Name, Payload: r.Payload, Attempt: r.Attempt, Undoes: r.Undoes}
	case timerSet:
		return Entry{Timer: r.ID, Name: r.Name, Due: r.Due}
	case timerCancelled:
		return Entry{Timer: r.ID}
	case compensating:
		return Entry{Step: r.Reason}
	case stuck:
		return Entry{Step: r.Step, Command: r.Command, Reason: r.Reason}
	case ended:
		return Entry{Phase: r.Phase}
	}
	return Entry{}
}
