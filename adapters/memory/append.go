package memory

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Append implements [eventstore.Appender].
func (s *Store) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	request, err := request.Prepare(s.limits)
	if err != nil {
		return eventstore.Receipt{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.accepting(ctx); err != nil {
		return eventstore.Receipt{}, err
	}
	if first, found, err := s.lookup(request.Command); found || err != nil {
		return first, err
	}
	if err := s.check(request); err != nil {
		return eventstore.Receipt{}, err
	}
	recordedAt := s.moment()
	receipt := s.write(request.Writes, recordedAt)
	s.remember(request.Command, outcome{request.Command.Hash, receipt, recordedAt})
	return receipt, nil
}

// LookupCommand implements [eventstore.Appender].
func (s *Store) LookupCommand(ctx context.Context, command eventstore.Command) (eventstore.Receipt, bool, error) {
	if err := ctx.Err(); err != nil {
		return eventstore.Receipt{}, false, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.lookup(command)
}

// DeleteStream implements [eventstore.StreamDeleter].
func (s *Store) DeleteStream(ctx context.Context, id eventstore.StreamID, expected eventstore.ExpectedVersion) (eventstore.Receipt, error) {
	if err := id.Validate(); err != nil {
		return eventstore.Receipt{}, err
	}
	if err := expected.Validate(); err != nil {
		return eventstore.Receipt{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.accepting(ctx); err != nil {
		return eventstore.Receipt{}, err
	}
	if s.streams[id].version() == 0 && expected.Accepts(0) {
		expected = eventstore.StreamExists // nothing to delete, whatever the caller believes
	}
	if err := s.checkStream(id, expected); err != nil {
		return eventstore.Receipt{}, err
	}
	receipt := s.write([]eventstore.Write{{Stream: id, Events: []eventstore.EventData{{
		ID: eventstore.NewEventID(), Type: eventstore.TombstoneType, SchemaVersion: 1,
	}}}}, s.moment())
	ended := s.streams[id]
	ended.deleted = true
	s.streams[id] = ended
	return receipt, nil
}

// accepting reports why no append is taken at all. It is asked under the lock: a
// caller that gave up while waiting for it must not find its events in the log.
func (s *Store) accepting(ctx context.Context) error {
	err := s.open(ctx)
	if err == nil && s.importing {
		return eventstore.ErrImporting
	}
	return err
}

func (s *Store) open(ctx context.Context) error {
	if s.closed {
		return eventstore.ErrClosed
	}
	return ctx.Err()
}

func (s *Store) lookup(command eventstore.Command) (eventstore.Receipt, bool, error) {
	first, found := s.commands[command.ID]
	if !found {
		return eventstore.Receipt{}, false, nil
	}
	if command.Hash.Mismatches(first.hash) {
		return eventstore.Receipt{}, false, fmt.Errorf("command %s: %w", command.ID, eventstore.ErrIdempotencyMismatch)
	}
	receipt := first.receipt
	receipt.Versions = maps.Clone(receipt.Versions) // the caller may do with it what it likes
	receipt.Repeated = true
	return receipt, true, nil
}

func (s *Store) remember(command eventstore.Command, first outcome) {
	if command.ID.IsZero() {
		return
	}
	first.receipt.Versions = maps.Clone(first.receipt.Versions)
	s.commands[command.ID] = first
}

// check holds the request against the log as it is, and changes nothing.
func (s *Store) check(request eventstore.AppendRequest) error {
	if err := request.CheckLife(s.identity); err != nil {
		return err
	}
	for _, w := range request.Writes {
		if err := s.checkStream(w.Stream, w.Expected); err != nil {
			return err
		}
	}
	if request.Condition == nil {
		return nil
	}
	return s.checkCondition(*request.Condition)
}

func (s *Store) checkStream(id eventstore.StreamID, expected eventstore.ExpectedVersion) error {
	current := s.streams[id]
	if current.deleted {
		return fmt.Errorf("append to %s: %w", id, eventstore.ErrStreamDeleted)
	}
	if !expected.Accepts(current.version()) {
		return &eventstore.VersionConflictError{Stream: id, Expected: expected, Actual: current.version()}
	}
	return nil
}

func (s *Store) checkCondition(c eventstore.Condition) error {
	head := s.head()
	if c.After > head {
		return fmt.Errorf("append condition after position %d: %w: the head is %d", c.After, eventstore.ErrAheadOfLog, head)
	}
	if lookback := head - c.After; !c.FailIf.Tagged() && lookback > eventstore.MaxUntaggedLookback {
		return fmt.Errorf("%w: it looks back %d positions for %s, the limit is %d; add a tag to every item of the query",
			eventstore.ErrConditionTooWide, lookback, c.FailIf, eventstore.MaxUntaggedLookback)
	}
	for position := range s.view(c.FailIf).matches(c.After, head) {
		return &eventstore.ConditionFailedError{Query: c.FailIf, After: c.After, Position: position}
	}
	return nil
}

// moment returns the time of an append.
func (s *Store) moment() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// write appends what has been checked. It cannot fail, so an append cannot stop half-way.
func (s *Store) write(writes []eventstore.Write, recordedAt time.Time) eventstore.Receipt {
	before := s.head()
	versions := make(map[eventstore.StreamID]eventstore.Version, len(writes))
	for _, w := range writes {
		for _, e := range w.Events {
			s.add(w.Stream, e, recordedAt)
		}
		versions[w.Stream] = s.streams[w.Stream].version()
	}
	if s.head() > before {
		close(s.appended)
		s.appended = make(chan struct{})
	}
	return eventstore.Receipt{Token: s.token(), Versions: versions}
}

func (s *Store) add(id eventstore.StreamID, e eventstore.EventData, recordedAt time.Time) {
	position := s.head() + 1
	target := s.streams[id]
	target.positions = append(target.positions, position)
	s.streams[id] = target
	e = copied(e)
	for _, tag := range e.Tags {
		s.tagged[tag] = append(s.tagged[tag], position)
	}
	s.log = append(s.log, eventstore.Recorded{
		EventData: e, Stream: id, Version: target.version(), Position: position, RecordedAt: recordedAt,
	})
}

// copied returns the event with bytes of its own. Events are copied on their way in
// and on their way out: a caller that reuses its buffer would rewrite history.
func copied(e eventstore.EventData) eventstore.EventData {
	e.Data, e.Metadata, e.Tags = bytes.Clone(e.Data), bytes.Clone(e.Metadata), slices.Clone(e.Tags)
	return e
}
