package eventstoretest

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

func (f *flawed) ReadCommands(_ context.Context, through eventstore.Anchor) iter.Seq2[eventstore.RememberedCommand, error] {
	f.mu.Lock()
	defer f.mu.Unlock()
	var there eventstore.Anchor
	for _, e := range f.log {
		if e.Position == through.Position {
			there = anchorOf(e)
		}
	}
	if err := eventstore.CheckThrough(through, there); err != nil && !f.is(readsThroughAnyEvent) {
		return func(yield func(eventstore.RememberedCommand, error) bool) { yield(eventstore.RememberedCommand{}, err) }
	}
	var all []eventstore.RememberedCommand
	for id, r := range f.commands {
		if r.receipt.Token.Position <= through.Position || f.is(readsEveryCommand) {
			all = append(all, asRemembered(id, r))
		}
	}
	slices.SortFunc(all, func(a, b eventstore.RememberedCommand) int {
		if f.is(readsCommandsInLogOrder) {
			return int(a.Position - b.Position)
		}
		return bytes.Compare(a.ID[:], b.ID[:])
	})
	return func(yield func(eventstore.RememberedCommand, error) bool) {
		for _, c := range all {
			if !yield(c, nil) {
				return
			}
		}
	}
}

func asRemembered(id eventstore.CommandID, r remembered) eventstore.RememberedCommand {
	return eventstore.RememberedCommand{
		Command:  eventstore.Command{ID: id, Hash: r.hash},
		Position: r.receipt.Token.Position, Versions: maps.Clone(r.receipt.Versions), RecordedAt: r.at,
	}
}

func (f *flawed) BeginImport(ctx context.Context, id eventstore.StoreID) (life eventstore.Identity, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil && !f.is(ignoresContext) {
		return life, ctx.Err()
	}
	if f.importing && f.identity.Store == id && !f.is(beginsOnce) {
		return f.identity, nil
	}
	if !f.is(importsIntoAny) && (f.importing || len(f.log) > 0 || len(f.commands) > 0) {
		return life, eventstore.ErrNotEmpty
	}
	f.importing = true
	if !f.is(importKeepsStore) {
		f.identity.Store = id
	}
	if !f.is(importKeepsIncarnation) {
		f.identity.Incarnation += 1 + rand.Int32N(1_000_000)
	}
	return f.identity, nil
}

func (f *flawed) Import(ctx context.Context, life eventstore.Identity, events []eventstore.Recorded, commands []eventstore.RememberedCommand) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil && !f.is(ignoresContext) {
		return ctx.Err()
	}
	if f.is(importsAnyLife) {
		life = f.identity
	}
	if err := eventstore.CheckImporting(life, f.identity, f.importing); err != nil {
		return err
	}
	if err := f.checkImport(events, commands); err != nil {
		if f.is(importsHalf) && len(events) > 0 && events[0].Position == f.last+1 {
			f.take(events[:1])
		}
		return err
	}
	f.take(events)
	for _, c := range commands {
		if f.is(importForgetsCommands) {
			break
		}
		receipt := eventstore.Receipt{Token: eventstore.Token{Identity: f.identity, Position: c.Position}, Versions: c.Versions}
		f.commands[c.ID] = remembered{hash: c.Hash, receipt: receipt, at: c.RecordedAt}
	}
	return nil
}

func (f *flawed) checkImport(events []eventstore.Recorded, commands []eventstore.RememberedCommand) error {
	before, err := eventstore.CheckImport(f.last, events, commands)
	if err != nil {
		if f.is(importsWithGaps) {
			return nil
		}
		return err
	}
	for stream, version := range before {
		if !f.is(importsAnyVersion) && (f.version(stream) != version || f.deleted[stream]) {
			return &eventstore.InvalidError{What: "import", Reason: fmt.Sprintf("%s is not at version %d", stream, version)}
		}
	}
	for _, c := range commands {
		if known, ok := f.commands[c.ID]; ok && !asRemembered(c.ID, known).Equal(c) && !f.is(importReplacesCommands) {
			return &eventstore.InvalidError{What: "import", Reason: "another command"}
		}
	}
	return nil
}

func (f *flawed) take(events []eventstore.Recorded) {
	for _, e := range events {
		switch f.bug {
		case importsAtNow:
			e.RecordedAt = time.Now().UTC().Truncate(time.Microsecond)
		case importsWithNewIDs:
			e.ID = eventstore.NewEventID()
		case importLosesTags:
			e.Tags = nil
		}
		f.log = append(f.log, e)
		if !f.is(importKeepsCounter) || len(f.log) < 3 {
			f.last = e.Position
		}
		if e.Type == eventstore.TombstoneType && !f.is(importRevives) {
			f.deleted[e.Stream] = true
		}
	}
}

func (f *flawed) EndImport(ctx context.Context, end eventstore.Token) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil && !f.is(ignoresContext) {
		return ctx.Err()
	}
	now := eventstore.Token{Identity: f.identity, Position: f.last}
	switch {
	case f.is(importEndsAnyLife):
		end.Identity = f.identity
	case f.is(importEndsAnywhere) && f.importing, f.is(importEndsWhenEnded) && !f.importing:
		end.Position = f.last
	}
	if err := eventstore.CheckImportEnd(end, now, f.importing); err != nil {
		return err
	}
	f.importing = false
	return nil
}
