package kinesisstore

import (
	"context"

	"github.com/leftfold/leftfold/eventstore"
)

// CommitID names one append, whoever puts its record and how often. It is a UUID.
type CommitID [16]byte

// NewCommitID returns a fresh id.
func NewCommitID() CommitID { return CommitID(eventstore.NewEventID()) }

// String returns the usual 36-character form.
func (id CommitID) String() string { return eventstore.EventID(id).String() }

// MarshalText implements encoding.TextMarshaler.
func (id CommitID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (id *CommitID) UnmarshalText(text []byte) error {
	return (*eventstore.EventID)(id).UnmarshalText(text)
}

type commitKey struct{}

// WithCommit returns a context under which Append makes the append of that id, once: after an
// [OutcomeUnknownError] the same request under the error's Commit finds out what became of it, and
// makes it if it was not made. A fresh context is needed for every other append to its stream.
func WithCommit(ctx context.Context, id CommitID) context.Context {
	return context.WithValue(ctx, commitKey{}, id)
}

// commitOf returns the id of an append under ctx: the one that was given, else a fresh one.
func commitOf(ctx context.Context) CommitID {
	if id, given := ctx.Value(commitKey{}).(CommitID); given {
		return id
	}
	return NewCommitID()
}

// isCommitGiven reports whether an append under ctx may have been made before.
func isCommitGiven(ctx context.Context) bool { return ctx.Value(commitKey{}) != nil }
