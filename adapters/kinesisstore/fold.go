package kinesisstore

import (
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

// Verdict is what a record means at its place in the log.
type Verdict string

// The verdicts. All but Accepted leave the stream as it is.
const (
	// Accepted: the record is the stream's next append.
	Accepted Verdict = "accepted"
	// Late: another append took the version before, or this is a copy of one that was accepted.
	Late Verdict = "late"
	// Repeated: the stream has an append under the record's command id.
	Repeated Verdict = "repeated"
	// Deleted: the stream has ended.
	Deleted Verdict = "deleted"
)

// State is all that the fold needs of a stream.
type State struct {
	Version eventstore.Version
	Deleted bool
	// Knows reports whether the stream has an append under the record's command id.
	Knows bool
}

// Judge is the fold: what becomes of a record where the stream is in the state. It is a function of
// the log alone, so every reader that reads a stream's records in their order comes to the same
// streams, whatever it is, wherever it stopped, and however often records were put.
//
// Why a copy is harmless, for ever and without a table: an accepted record has at least one event,
// so that its copy meets a version above Expect; a record that was late meets one too, because
// versions do not shrink.
//
// A writer puts only a version that it has seen accepted. So a record that expects more than
// there is tells that records before it are missing: [ErrGap].
func Judge(record Record, at State) (Verdict, error) {
	switch {
	case record.Expect > at.Version:
		return "", fmt.Errorf("%w: a record of stream %s expects version %d, and the index is at %d",
			ErrGap, record.Stream, record.Expect, at.Version)
	case record.Expect < at.Version:
		return Late, nil
	case at.Deleted:
		return Deleted, nil
	case at.Knows:
		return Repeated, nil
	default:
		return Accepted, nil
	}
}
