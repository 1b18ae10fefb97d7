package eventstore

import (
	"errors"
	"fmt"
)

// What happened, for errors.Is. Where fields help, a typed error matches the sentinel.
var (
	// ErrVersionConflict: the expected version was wrong; see [VersionConflictError]. Read
	// the stream and decide again; package aggregate does.
	ErrVersionConflict = errors.New("version conflict")
	// ErrConditionFailed: a matching event exists; see [ConditionFailedError]. Read and
	// decide again, as after a version conflict.
	ErrConditionFailed = errors.New("append condition failed")
	// ErrConditionTooWide: a condition without tags looks back more than
	// [MaxUntaggedLookback] positions. Name a tag in each item of the query, or read again
	// for a newer After.
	ErrConditionTooWide = errors.New("append condition too wide")
	// ErrAheadOfLog: the position lies beyond the head. It is another store's, or the log
	// was rolled back.
	ErrAheadOfLog = errors.New("position is ahead of the log")
	// ErrIdempotencyMismatch: the command id was used for another command. Nothing was
	// appended. A new command needs a new id.
	ErrIdempotencyMismatch = errors.New("command id was used for another command")
	// ErrOutcomeUnknown: the answer was lost; the events may be appended or not. Repeat with
	// the same command id to find out.
	ErrOutcomeUnknown = errors.New("outcome of the append is unknown")
	// ErrStreamDeleted: the stream ends with a tombstone. It stays deleted.
	ErrStreamDeleted = errors.New("stream is deleted")
	// ErrInvalid: the request is malformed; see [InvalidError].
	ErrInvalid = errors.New("invalid")
	// ErrTooLarge: a limit is exceeded; see [LimitError].
	ErrTooLarge = errors.New("too large")
	// ErrStoreBusy: nothing was appended because the store has too much to do; try again.
	ErrStoreBusy = errors.New("store is busy")
	// ErrUnsupported: the store does not have this part of the contract, see
	// [UnsupportedError]; nothing was done. It matches [errors.ErrUnsupported] too.
	ErrUnsupported = fmt.Errorf("store: %w", errors.ErrUnsupported)
	// ErrImporting: an import into the store is under way, or was not finished. Nothing was
	// appended; finish the import.
	ErrImporting = errors.New("an import into the store is not finished")
	// ErrNotEmpty: a log can be imported into an empty store only.
	ErrNotEmpty = errors.New("store is not empty")
	// ErrClosed: the store was closed; nothing was appended.
	ErrClosed = errors.New("store is closed")
	// ErrForeignToken: the token belongs to a store that is not read here.
	ErrForeignToken = errors.New("token of another store")
	// ErrDiverged: the log is not the one that was read before: it was restored or failed
	// over. What was read from it may be of events that are gone; build the read model anew.
	ErrDiverged = errors.New("log has diverged from what was read before")
)

// VersionConflictError says that a stream was not at the expected version.
// It matches [ErrVersionConflict].
type VersionConflictError struct {
	Stream   StreamID
	Expected ExpectedVersion
	Actual   Version
}

func (e *VersionConflictError) Error() string {
	return fmt.Sprintf("version conflict on %s: expected %s, it is at version %d", e.Stream, e.Expected, e.Actual)
}

// Is reports whether target is [ErrVersionConflict].
func (e *VersionConflictError) Is(target error) bool { return target == ErrVersionConflict }

// ConditionFailedError says that an event matches the condition's query.
// It matches [ErrConditionFailed].
type ConditionFailedError struct {
	// Query and After are the condition's.
	Query Query
	After Position
	// Position is that of one matching event after After.
	Position Position
}

func (e *ConditionFailedError) Error() string {
	return fmt.Sprintf("append condition failed: %s exists at position %d, after %d", e.Query, e.Position, e.After)
}

// Is reports whether target is [ErrConditionFailed].
func (e *ConditionFailedError) Is(target error) bool { return target == ErrConditionFailed }

// InvalidError says what is malformed and why. It matches [ErrInvalid].
type InvalidError struct {
	What   string // such as "stream id"
	Value  string // as it was given; empty if the reason says it all
	Reason string // what would be valid
}

func (e *InvalidError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("invalid %s: %s", e.What, e.Reason)
	}
	return fmt.Sprintf("invalid %s %.64q: %s", e.What, e.Value, e.Reason)
}

// Is reports whether target is [ErrInvalid].
func (e *InvalidError) Is(target error) bool { return target == ErrInvalid }

// LimitError says which limit is exceeded. It matches [ErrTooLarge].
type LimitError struct {
	What        string // what was counted, with its unit
	Size, Limit int    // in that unit
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s too large: %d, the limit is %d", e.What, e.Size, e.Limit)
}

// Is reports whether target is [ErrTooLarge].
func (e *LimitError) Is(target error) bool { return target == ErrTooLarge }

// UnsupportedError says which part of the contract the store excludes. It matches
// [ErrUnsupported].
type UnsupportedError struct {
	Part Part
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("the store does not support %s", e.Part)
}

// Is reports whether target is [ErrUnsupported] or [errors.ErrUnsupported].
func (e *UnsupportedError) Is(target error) bool {
	return target == ErrUnsupported || target == errors.ErrUnsupported
}
