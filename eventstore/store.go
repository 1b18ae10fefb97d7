package eventstore

import (
	"context"
	"fmt"
	"iter"
)

// Store is an event store: the sum of the three roles. Callers ask for the roles they use.
type Store interface {
	Appender
	StreamReader
	LogReader
}

// Appender writes the log.
type Appender interface {
	// Append adds the request's events to the log, all of them or none.
	//
	// The implementation must, in this order and as one atomic step:
	//  1. look up the command id; a known one returns the first receipt with Repeated
	//     set, or [ErrIdempotencyMismatch] if both hashes are set and differ;
	//  2. check the life of the log, every stream's deletion and expected version, and the
	//     condition, against the log as it is before this append; a refusal changes nothing;
	//  3. append the events and remember the command id with the receipt, for ever: only an
	//     operator makes the store forget it, see [CommandPruner].
	//
	// The lookup comes first because a retried command meets its own events: checked
	// first, the version would refuse a command that has already succeeded.
	//
	// When Append returns nil the events are durable and visible to every reader that
	// starts afterwards. Errors, all of them testable with errors.Is:
	// [ErrVersionConflict], [ErrConditionFailed], [ErrConditionTooWide], [ErrAheadOfLog],
	// [ErrIdempotencyMismatch], [ErrStreamDeleted], [ErrInvalid], [ErrTooLarge],
	// [ErrDiverged] and [ErrForeignToken] (see [AppendRequest].Life),
	// [ErrStoreBusy] (not appended, try again), [ErrImporting] (not appended), [ErrClosed] (not appended), the error of
	// ctx (not appended) and [ErrOutcomeUnknown]. Any other error means not appended. A store
	// that says so by [Capabilities] may refuse a part of the contract: [ErrUnsupported].
	//
	// The caller must not change the request's bytes until Append returns.
	Append(ctx context.Context, request AppendRequest) (Receipt, error)

	// LookupCommand returns the receipt of the command's append with Repeated set, and
	// whether there was one. A known id with another hash is [ErrIdempotencyMismatch].
	//
	// It sees every append that returned, and every append of which any reader has seen
	// an event, before it was called. A decision relies on the second half: it reads the
	// events of a twin of its own command, is refused because of them, and must learn
	// from the lookup that they are its own.
	LookupCommand(ctx context.Context, command Command) (Receipt, bool, error)
}

// StreamReader reads single streams.
type StreamReader interface {
	// ReadStream yields the stream's events in the range, all from one consistent
	// prefix of the log. A stream without events yields none; a deleted one yields
	// [ErrStreamDeleted].
	//
	// An error is yielded once, as the last element: a malformed name or range
	// ([ErrInvalid], [ErrTooLarge]), or a failed read. The implementation must use
	// constant memory however long the stream is, must hold no connection or lock while
	// the loop body runs, and must leak nothing when the loop ends early.
	ReadStream(ctx context.Context, stream StreamID, in StreamRange) iter.Seq2[Recorded, error]
}

// LogReader reads the whole log.
type LogReader interface {
	// ReadLog starts a read of the events after a position, up to a head that is fixed
	// at the call. After beyond the head is [ErrAheadOfLog]: the log was rolled back, or
	// the position is another store's. A malformed query is [ErrInvalid] or [ErrTooLarge].
	ReadLog(ctx context.Context, query LogQuery) (*LogRead, error)

	// Head returns the position of the newest event, with the store's identity. It
	// covers every append that returned before Head was called. At an empty log the
	// position is 0.
	Head(ctx context.Context) (Token, error)
}

// AppendRequest is one append. Without a command id it must write at least one event.
type AppendRequest struct {
	// Command makes the append idempotent. Default: none; a repeat appends again.
	Command Command

	// Writes are the streams to append to, each at most once. Their events take positions
	// in the order given. At most [MaxWrites] and [MaxEvents] events in all.
	Writes []Write

	// Condition refuses the append if the log has moved on. Default: none.
	Condition *Condition

	// Life refuses the append if the log is not in this life of this store: [ErrDiverged], or
	// [ErrForeignToken] for another store. After a failover that lost events a stream may be
	// at the version that a writer expects, and hold others, and a position that a condition
	// starts from may be that of another event. A read of the log tells the life, see
	// [LogRead]; who keeps for long what it has read needs it most. Default: any.
	Life Identity
}

// CheckLife is for adapters: it returns nil, or why the append may not be made in the log of
// that identity.
func (r AppendRequest) CheckLife(now Identity) error {
	if r.Life == (Identity{}) || r.Life == now {
		return nil
	}
	if r.Life.Store != now.Store {
		return fmt.Errorf("append to store %s what is for store %s: %w", now.Store, r.Life.Store, ErrForeignToken)
	}
	return fmt.Errorf("append for incarnation %d, the log is in %d: %w", r.Life.Incarnation, now.Incarnation, ErrDiverged)
}

// Write is the part of an append that goes to one stream. Without events it only
// checks the expected version.
type Write struct {
	// Stream is created by its first event. Required.
	Stream StreamID
	// Expected refuses the whole append if it does not hold. Default: [Any].
	Expected ExpectedVersion
	// Events are added in this order. Default: none.
	Events []EventData
}

// Condition refuses an append if an event that matches FailIf exists after a
// position. It makes a decision over events of many streams safe: read the events,
// decide, and append on the condition that nothing relevant has happened since
// ("dynamic consistency boundary", dcb.events).
//
// A query with an item that names no tag looks back at most [MaxUntaggedLookback]
// positions; further back is [ErrConditionTooWide].
type Condition struct {
	// FailIf is the query that the decision was read with. The zero query matches every
	// event, of any stream.
	FailIf Query
	// After is the end of that read, the position of [LogRead].Through. Beyond the head it
	// is [ErrAheadOfLog]. Default: 0, no matching event may exist at all.
	After Position
}

// Receipt is what an append returns.
type Receipt struct {
	// Token makes a query see this append. Its position is that of the last event, or
	// of the head if the append had no events.
	Token Token

	// Versions are the versions of the streams named by the request, after the append.
	Versions map[StreamID]Version

	// Repeated is set when the command had been appended before; this is the first
	// receipt then, and nothing was written.
	Repeated bool
}

// StreamRange selects events of a stream: those with After < version <= Through.
// The zero value is the whole stream, oldest first.
type StreamRange struct {
	// After is the version before the first one wanted. Default: 0, from the beginning.
	After Version
	// Through is the last version wanted. Default: 0, to the end.
	Through Version
	// Backwards yields the newest event of the range first.
	Backwards bool
	// Limit is the most events to yield. Default: 0, no limit.
	Limit int
}

// LogQuery selects events of the log: those that match Query with
// After < position <= Through. The zero value is the whole log.
type LogQuery struct {
	Query Query
	// After is the position before the first one wanted. Default: 0, from the beginning.
	After Position
	// Through is the last position wanted; beyond the head it means the head.
	// Default: 0, the head.
	Through Position
	// Limit is the most events to yield. A limit that cuts the read moves its end,
	// [LogRead.Through], to the last event yielded: a checkpoint there must not pass by
	// the events that were cut off. Default: 0, no limit.
	Limit int
}

// LogRead is a read of the log whose end is fixed. The anchors describe the log, not
// the matching events: a checkpoint moves to Through even if nothing matched, so a
// projection of a rare type never reads the same events twice.
type LogRead struct {
	// Identity is the store's at the time of the read.
	Identity Identity
	// After is the event at [LogQuery.After] as the log has it now; zero at position 0.
	After Anchor
	// Through is the last event that the read covers.
	Through Anchor
	// Head is the log's newest position, at or beyond Through.
	Head Position

	events iter.Seq2[Recorded, error]
}

// NewLogRead is for adapters: it completes a read with its events, which must all
// lie after After and at or before Through and come in position order.
func NewLogRead(read LogRead, events iter.Seq2[Recorded, error]) *LogRead {
	read.events = events
	return &read
}

// Events yields the matching events in position order. The rules of
// [StreamReader.ReadStream] on errors, memory and held resources apply.
func (r *LogRead) Events() iter.Seq2[Recorded, error] { return r.events }

// Token returns the token of the read's end: what a reader of these events has seen.
func (r *LogRead) Token() Token { return Token{r.Identity, r.Through.Position} }

// StreamDeleter is an optional power of a store.
type StreamDeleter interface {
	// DeleteStream ends a stream with a tombstone, an event of type [TombstoneType].
	// From then on reads of the stream and appends to it give [ErrStreamDeleted]. No event
	// is removed: the log still has them all. A stream without events cannot be deleted
	// ([ErrVersionConflict]); otherwise the errors are those of Append. It makes no use of
	// Prepare, so the implementation must validate the name and the expected version itself.
	DeleteStream(ctx context.Context, stream StreamID, expected ExpectedVersion) (Receipt, error)
}

// TombstoneType is the type of the event that ends a deleted stream. Types that
// start with "$" are the store's own.
const TombstoneType = "$stream.deleted"
