package memory

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
)

// ReadCommands implements [eventstore.Portable].
func (s *Store) ReadCommands(ctx context.Context, through eventstore.Anchor) iter.Seq2[eventstore.RememberedCommand, error] {
	return func(yield func(eventstore.RememberedCommand, error) bool) {
		all, err := s.remembered(through)
		if err != nil {
			yield(eventstore.RememberedCommand{}, fmt.Errorf("read the command ids: %w", err))
			return
		}
		for _, c := range all {
			if err := ctx.Err(); err != nil {
				yield(eventstore.RememberedCommand{}, err)
				return
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// remembered returns the commands in the order of their ids.
func (s *Store) remembered(through eventstore.Anchor) (all []eventstore.RememberedCommand, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var there eventstore.Anchor
	if at := through.Position; at > 0 && at <= s.head() {
		there = eventstore.Anchor{Position: at, EventID: s.log[at-1].ID}
	}
	if err := eventstore.CheckThrough(through, there); err != nil {
		return nil, err
	}
	for id, o := range s.commands {
		if o.receipt.Token.Position <= through.Position {
			all = append(all, asRemembered(id, o))
		}
	}
	slices.SortFunc(all, func(a, b eventstore.RememberedCommand) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all, nil
}

func asRemembered(id eventstore.CommandID, o outcome) eventstore.RememberedCommand {
	return eventstore.RememberedCommand{
		Command:  eventstore.Command{ID: id, Hash: o.hash},
		Position: o.receipt.Token.Position, Versions: maps.Clone(o.receipt.Versions), RecordedAt: o.recordedAt,
	}
}

// BeginImport implements [eventstore.Portable].
func (s *Store) BeginImport(ctx context.Context, id eventstore.StoreID) (life eventstore.Identity, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(ctx); err != nil {
		return life, err
	}
	switch {
	case s.importing && s.identity.Store == id:
		return s.identity, nil
	case s.importing || s.head() > 0 || len(s.commands) > 0:
		return life, fmt.Errorf("import store %s: %w: it is store %s with %d events", id, eventstore.ErrNotEmpty, s.identity.Store, s.head())
	}
	s.importing = true
	s.identity = eventstore.Identity{Store: id, Incarnation: s.identity.Incarnation + 1 + rand.Int32N(1_000_000)}
	return s.identity, nil
}

// Import implements [eventstore.Portable].
func (s *Store) Import(ctx context.Context, life eventstore.Identity, events []eventstore.Recorded, commands []eventstore.RememberedCommand) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := eventstore.CheckImporting(life, s.identity, s.importing); err != nil {
		return err
	}
	before, err := eventstore.CheckImport(s.head(), events, commands)
	if err != nil {
		return err
	}
	for id, version := range before {
		if there := s.streams[id]; there.version() != version || there.deleted {
			return &eventstore.InvalidError{What: "import", Value: string(id), Reason: fmt.Sprintf("the stream is at version %d, and the import goes on behind version %d", there.version(), version)}
		}
	}
	for _, c := range commands {
		if known, ok := s.commands[c.ID]; ok && !asRemembered(c.ID, known).Equal(c) {
			return &eventstore.InvalidError{What: "import", Value: c.ID.String(), Reason: "another command is remembered under its id"}
		}
	}
	for _, e := range events {
		s.add(e.Stream, e.EventData, e.RecordedAt.UTC())
		if e.Type == eventstore.TombstoneType {
			ended := s.streams[e.Stream]
			ended.deleted = true
			s.streams[e.Stream] = ended
		}
	}
	for _, c := range commands {
		receipt := eventstore.Receipt{Token: eventstore.Token{Identity: s.identity, Position: c.Position}, Versions: c.Versions}
		s.remember(c.Command, outcome{c.Hash, receipt, c.RecordedAt.UTC()})
	}
	if len(events) > 0 {
		close(s.appended)
		s.appended = make(chan struct{})
	}
	return nil
}

// EndImport implements [eventstore.Portable].
func (s *Store) EndImport(ctx context.Context, end eventstore.Token) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := eventstore.CheckImportEnd(end, eventstore.Token{Identity: s.identity, Position: s.head()}, s.importing); err != nil {
		return err
	}
	s.importing = false
	return nil
}
