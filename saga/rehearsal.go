package saga

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Rehearsal is one instance in memory, with a clock that stands still until it is moved. Nothing is
// dispatched: it is told by hand what becomes of its commands. Package sagatest is made of it.
type Rehearsal[S any] struct {
	saga     *Type[S]
	id       string
	now      time.Time
	instance instance[S]
	records  []record
}

// Rehearse returns the instance with the id before it has begun, at a time.
func (t *Type[S]) Rehearse(id string, at time.Time) *Rehearsal[S] {
	return &Rehearsal[S]{saga: t, id: id, now: at.UTC()}
}

// Event tells the instance an event that was recorded in a stream, unless the saga is not told
// events of its type, or it is of another instance: that is an error.
func (r *Rehearsal[S]) Event(ctx context.Context, stream eventstore.StreamID, event any) (err error) {
	data, err := r.saga.events.Encode(event)
	if err != nil {
		return err
	}
	data.ID, data.Metadata = eventstore.NewEventID(), eventstore.MetadataFrom(ctx).Encode()
	m := eventstore.Recorded{EventData: data, Stream: stream, Version: 1, Position: 1, RecordedAt: r.now.Truncate(time.Microsecond)}
	all, err := r.running().observations(eventstore.StoreID{}, &m)
	if err != nil {
		return err
	}
	heard := false
	for _, told := range all {
		if told.instance != r.id && r.saga.react == nil {
			continue
		}
		heard = true
		what, err := told.what(ctx)
		if err != nil {
			return err
		}
		if what == nil {
			continue
		}
		if err := r.tell(what); err != nil {
			return err
		}
	}
	if !heard {
		return fmt.Errorf("saga %s is not told the event %s of %s for instance %q", r.saga.name, data.Type, stream, r.id)
	}
	return nil
}

// Handled tells the instance what became of a command that it has requested: as what a
// [Dispatcher] returns.
func (r *Rehearsal[S]) Handled(command string, outcome error) error {
	c, known := r.instance.commands[command]
	if !known {
		return fmt.Errorf("saga %s has not requested the command %s", r.saga.name, command)
	}
	return r.tell(result(c.commandRequested, outcome, r.now))
}

// Wait moves the clock, and fires the timers that become due on the way, each when it is due.
func (r *Rehearsal[S]) Wait(d time.Duration) error {
	until := r.now.Add(d)
	for {
		timers := r.Timers()
		if len(timers) == 0 || timers[0].Due.After(until) {
			r.now = until
			return nil
		}
		if timers[0].Due.After(r.now) {
			r.now = timers[0].Due
		}
		if err := r.tell(timerFired{timers[0].ID, r.now}); err != nil {
			return err
		}
	}
}

// Resume is [Type.Resume].
func (r *Rehearsal[S]) Resume(note string) error {
	if r.Phase() != Stuck {
		return ErrNotStuck
	}
	return r.tell(resumed{note, r.now})
}

// State returns what the instance knows.
func (r *Rehearsal[S]) State() S { return r.instance.state }

// Phase returns where the instance is in its life; empty if it has not begun.
func (r *Rehearsal[S]) Phase() Phase {
	if r.instance.stuck != "" && !r.instance.phase.Ended() {
		return Stuck
	}
	return r.instance.phase
}

// Commands returns those that a dispatcher would have now, in the order in which they were
// requested.
func (r *Rehearsal[S]) Commands() (sent []Command) {
	for _, recorded := range r.records {
		requested, is := recorded.(commandRequested)
		if !is {
			continue
		}
		c := r.instance.commands[requested.ID]
		if c.status == open && c.Attempt == requested.Attempt && r.saga.needs(&r.instance, c) {
			sent = append(sent, r.saga.command(&r.instance, c.commandRequested))
		}
	}
	return sent
}

// Timers returns those that are pending, the first that is due first.
func (r *Rehearsal[S]) Timers() []Timer {
	pending := make([]Timer, 0, len(r.instance.timers))
	for timer := range maps.Values(r.instance.timers) {
		pending = append(pending, Timer{ID: timer.ID, Instance: r.id, Name: timer.Name, Due: timer.Due})
	}
	slices.SortFunc(pending, func(a, b Timer) int {
		if order := a.Due.Compare(b.Due); order != 0 {
			return order
		}
		return strings.Compare(a.ID, b.ID)
	})
	return pending
}

// Timeline is [Type.Timeline].
func (r *Rehearsal[S]) Timeline() []Entry {
	all := entries(r.records)
	for n := range all {
		all[n].Version = eventstore.Version(n + 1)
	}
	return withNames(all)
}

func (r *Rehearsal[S]) running() *running[S] {
	return &running[S]{Type: r.saga, now: func() time.Time { return r.now }, fault: func(Point) {}}
}

// tell has the instance decide, on what a store would have: every record is encoded and decoded.
func (r *Rehearsal[S]) tell(what record) (err error) {
	defer recoverAsPoison(&err)
	var in instance[S]
	for _, recorded := range r.records {
		r.saga.fold(recorded, &in)
	}
	decided, err := r.saga.decide(r.saga.Stream(r.id), in, what)
	switch {
	case errors.Is(err, errNothing):
		return nil
	case err != nil:
		return err
	}
	for _, d := range decided {
		stored, err := records.Copy(d)
		if err != nil {
			return err
		}
		r.records = append(r.records, stored)
	}
	r.instance = instance[S]{}
	for _, recorded := range r.records {
		r.saga.fold(recorded, &r.instance)
	}
	return r.instance.broken
}
