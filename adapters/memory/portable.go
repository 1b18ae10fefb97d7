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
func (s *Store) ReadCommands(ctx context.Context, through eventstore.Position) iter.Seq2[eventstore.RememberedCommand, error] {
	return func(yield func(eventstore.RememberedCommand, error) bool) {
		for _, c := range s.remembered(through) {
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
func (s *Store) remembered(through eventstore.Position) (all []eventstore.RememberedCommand) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id, o := range s.commands {
		if o.receipt.Token.Position <= through {
			all = append(all, asRemembered(id, o))
		}
	}
	slices.SortFunc(all, func(a, b eventstore.RememberedCommand) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return all
}

func asRemembered(id eventstore.CommandID, o outcome) eventstore.RememberedCommand {
	return eventstore.RememberedCommand{
		Command:  eventstore.Command{ID: id, Hash: o.hash},
		Position: o.receipt.Token.Position, Versions: maps.Clone(o.receipt.Versions), RecordedAt: o.recordedAt,
	}
}

// BeginImport implements [eventstore.Portable].
func (s *Store) BeginImport(ctx context.Context, id eventstore.StoreID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(ctx); err != nil {
		return err
	}
	switch {
	case s.importing && s.identity.Store == id:
		return nil
	case s.importing || s.head() > 0 || len(s.commands) > 0:
		return fmt.Errorf("import store %s: %w: it is store %s with %d events", id, eventstore.ErrNotEmpty, s.identity.Store, s.head())
	}
	s.importing = true
	s.identity = eventstore.Identity{Store: id, Incarnation: s.identity.Incarnation + 1 + rand.Int32N(1_000_000)}
	return nil
}

// Import implements [eventstore.Portable].
func (s *Store) Import(ctx context.Context, events []eventstore.Recorded, commands []eventstore.RememberedCommand) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(ctx); err != nil {
		return err
	}
	if !s.importing {
		return &eventstore.InvalidError{What: "import", Reason: "none is under way; begin it first"}
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
func (s *Store) EndImport(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.open(ctx); err != nil {
		return err
	}
	s.importing = false
	return nil
}
