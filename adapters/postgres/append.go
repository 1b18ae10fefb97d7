package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
)

// Append implements [eventstore.Appender]. It waits until the append's batch is committed;
// all appends that wait at the same time, by any number of goroutines, share one.
//
// The end of ctx takes back an append that still waits (the error of ctx: not appended).
// One that was sent is waited for a quarter of a second longer, then it is
// [eventstore.ErrOutcomeUnknown]: it will be appended or not, and nobody knows.
func (s *Store) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	prepared, err := request.Prepare(s.limits)
	if err != nil {
		return eventstore.Receipt{}, err
	}
	own(&prepared)
	return s.submit(ctx, prepared)
}

// own copies what the caller may change once Append has returned: an append whose outcome is
// unknown to its caller by then may still be sent again.
func own(r *eventstore.AppendRequest) {
	kept := make([]byte, 0, r.Bytes())
	keep := func(b []byte) []byte {
		kept = append(kept, b...)
		return kept[len(kept)-len(b) : len(kept) : len(kept)]
	}
	for _, w := range r.Writes {
		for n := range w.Events { // a slice of Prepare's own
			e := &w.Events[n]
			e.Data, e.Metadata, e.Tags = keep(e.Data), keep(e.Metadata), slices.Clone(e.Tags)
		}
	}
	if r.Condition != nil {
		condition := *r.Condition
		condition.FailIf.Items = slices.Clone(condition.FailIf.Items)
		for n, item := range condition.FailIf.Items {
			condition.FailIf.Items[n] = eventstore.QueryItem{Types: slices.Clone(item.Types), Tags: slices.Clone(item.Tags)}
		}
		r.Condition = &condition
	}
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

func (s *Store) submit(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	if ctx.Value(insideInline{s.db}) != nil {
		return eventstore.Receipt{}, errInsideInline
	}
	if ctx.Value(ownTransaction{s}) != nil {
		return eventstore.Receipt{}, fmt.Errorf("%w: append through the store that Transact handed you", ErrOwnTransaction)
	}
	return s.queue.Submit(ctx, groupcommit.NewPending(request))
}
