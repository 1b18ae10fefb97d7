//go:build unix

package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// CheckInlineWriters has three processes append, kills them with SIGKILL and pauses them with
// SIGSTOP so many times, and compares the rows of views and handler with the log. start returns
// the command of a process that calls [AppendUntilKilled] on the same log.
func CheckInlineWriters[Tx any](ctx context.Context, p InlineParts[Tx], faults int, start func() *exec.Cmd) error {
	s, parts, err := p.switched(ctx, p.counted())
	if err != nil {
		return err
	}
	crew, err := newCrew(start)
	if err != nil {
		return err
	}
	defer crew.dismiss()
	var figures Figures
	for n := range faults {
		before, err := s.Store.Head(ctx)
		if err != nil {
			return err
		}
		busy, cancel := context.WithTimeout(ctx, clauseTimeout)
		err = eventstore.WaitAppended(busy, s.Store, before.Position+eventstore.Position(rand.Int64N(50)))
		cancel()
		if err != nil {
			return fmt.Errorf("nothing is appended after fault %d: %w", n, err)
		}
		if err := parts.appendInTheEnd(ctx); err != nil { // and we meet what they leave behind
			return fmt.Errorf("after fault %d: %w", n, err)
		}
		time.Sleep(rand.N(20 * time.Millisecond)) // the moment of a fault is not an event
		if err := crew.harm(n, &figures); err != nil {
			return err
		}
	}
	crew.dismiss()
	return first(parts.appendInTheEnd(ctx), parts.agrees(ctx), p.handledOnce(ctx, s.Store))
}

// appendInTheEnd appends once whoever is paused, or was killed, has given back the lock of the
// store.
func (p Parts) appendInTheEnd(ctx context.Context) error {
	_, err := p.append(ctx, "last", counted{1})
	for errors.Is(err, eventstore.ErrStoreBusy) {
		_, err = p.append(ctx, "last", counted{1})
	}
	return err
}

// handledOnce compares the counters of the handler with the log.
func (p InlineParts[Tx]) handledOnce(ctx context.Context, store eventstore.LogReader) error {
	if p.Add == nil {
		return nil
	}
	want := map[string]int{}
	read, err := store.ReadLog(ctx, eventstore.LogQuery{})
	if err != nil {
		return err
	}
	for m, err := range read.Events() {
		if err != nil {
			return err
		}
		want[m.Stream.ID()]++
	}
	for stream, n := range want {
		got, err := p.Read(ctx, stream)
		if err := first(err, same("counter "+stream, got, n)); err != nil {
			return err
		}
	}
	return nil
}
