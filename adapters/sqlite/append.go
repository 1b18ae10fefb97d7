package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
)

// Append implements [eventstore.Appender].
//
// Appends that wait at the same time are written in one transaction, so that they
// share one fsync; each is checked on its own and a refusal is no business of the
// others. While a transaction commits, the next batch gathers.
//
// If ctx ends while the append waits, it is not appended. Once its transaction has
// begun, Append waits for the outcome, so nobody is left in doubt.
func (s *Store) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	request, err := request.Prepare(s.limits)
	if err != nil {
		return eventstore.Receipt{}, err
	}
	return s.submit(ctx, request)
}

func (s *Store) submit(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	if err := s.outside(ctx); err != nil {
		return eventstore.Receipt{}, err
	}
	return s.queue.Submit(ctx, groupcommit.NewPending(request))
}

// outside refuses a write that would wait for its caller's own transaction.
func (s *Store) outside(ctx context.Context) error {
	if ctx.Value(insideInline{s.file}) != nil {
		return errInsideInline
	}
	if ctx.Value(ownTransaction{s.file}) != nil {
		return fmt.Errorf("%w: append through the store that Transact handed you", ErrOwnTransaction)
	}
	return nil
}

// DeleteStream implements [eventstore.StreamDeleter].
func (s *Store) DeleteStream(ctx context.Context, stream eventstore.StreamID, expected eventstore.ExpectedVersion) (eventstore.Receipt, error) {
	request, err := tombstone(stream, expected)
	if err != nil {
		return eventstore.Receipt{}, err
	}
	return s.submit(ctx, request)
}

func tombstone(stream eventstore.StreamID, expected eventstore.ExpectedVersion) (eventstore.AppendRequest, error) {
	if err := errors.Join(stream.Validate(), expected.Validate()); err != nil {
		return eventstore.AppendRequest{}, err
	}
	event := eventstore.EventData{ID: eventstore.NewEventID(), Type: eventstore.TombstoneType, SchemaVersion: 1}
	return eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Expected: expected, Events: []eventstore.EventData{event}}}}, nil
}
