package kinesisstore

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// retryPause is the longest pause before an append that expects no version is tried again after a lost
// race; it doubles up to maxRetryPause. A record that loses costs the shard as much as one that wins.
const (
	retryPause    = 10 * time.Millisecond
	maxRetryPause = time.Second
	// settling is how long the index may take to tell the outcome of an append that it has passed.
	settling = 5 * time.Second
)

// Append implements [eventstore.Appender]. It puts one record, and waits until the index has passed the
// place where that stands: there it is known whether it was the first one to follow the version that it
// expects.
//
// An answer that is lost is no matter: the same record is put again until Kinesis has acknowledged one, and of all
// its copies one can count at most. Only the end of ctx leaves the outcome open, [OutcomeUnknownError], so
// give it a deadline that an indexer's failover fits into. So does a refusal for good, such as of credentials that have
// run out, of a record that may have been put before, and an index that does not answer for 5 s.
//
// [eventstore.Any] and [eventstore.StreamExists] are decided here: the version is read, expected, and
// read again if another append has won the race.
func (s *Store) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	request, err := request.Prepare(s.limits)
	if err != nil {
		return eventstore.Receipt{}, err
	}
	if err := excluded.Check(request); err != nil {
		return eventstore.Receipt{}, err
	}
	w := request.Writes[0]
	return s.append(ctx, Record{Stream: w.Stream, Command: request.Command, Events: w.Events}, w.Expected, request.CheckLife)
}

// DeleteStream implements [eventstore.StreamDeleter]. The tombstone's event id is the index's own.
func (s *Store) DeleteStream(ctx context.Context, stream eventstore.StreamID, expected eventstore.ExpectedVersion) (eventstore.Receipt, error) {
	if err := errors.Join(stream.Validate(), expected.Validate()); err != nil {
		return eventstore.Receipt{}, err
	}
	return s.append(ctx, Record{Stream: stream, Delete: true}, expected, eventstore.AppendRequest{}.CheckLife)
}

func (s *Store) append(ctx context.Context, record Record, expected eventstore.ExpectedVersion, alive func(eventstore.Identity) error) (eventstore.Receipt, error) {
	record.Commit = commitOf(ctx)
	record.Expect, _ = expected.Version()
	begun, done, err := s.begin(ctx)
	if err != nil {
		return eventstore.Receipt{}, unlessGiven(ctx, record, err)
	}
	defer done()
	ctx = begun
	if err := s.lookAgain(ctx); err != nil {
		return eventstore.Receipt{}, err
	}
	for pause := retryPause; ; pause = min(2*pause, maxRetryPause) {
		receipt, settled, err := s.try(ctx, &record, expected, alive)
		if settled || err != nil {
			return receipt, unlessGiven(ctx, record, err)
		}
		if err := sleep(ctx, rand.N(pause)); err != nil {
			return eventstore.Receipt{}, unlessGiven(ctx, record, err) // what was put before has lost its race
		}
	}
}

// unlessGiven returns the error of an append. That of a context would say that nothing was appended; but if the commit
// was given, an earlier call may have put it.
func unlessGiven(ctx context.Context, record Record, err error) error {
	if !isCommitGiven(ctx) || !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &OutcomeUnknownError{Commit: record.Commit, Stream: record.Stream, Expect: record.Expect, Cause: "before the record was put again: " + err.Error()}
}

// try makes the append at the version that the stream is at. It is not settled if another one has won, and any
// version would do.
func (s *Store) try(ctx context.Context, record *Record, expected eventstore.ExpectedVersion, alive func(eventstore.Identity) error) (eventstore.Receipt, bool, error) {
	head, err := s.index.head(ctx)
	if err != nil {
		return eventstore.Receipt{}, false, err
	}
	at, err := s.index.state(ctx, s.index.database.db, record.Stream)
	if err != nil {
		return eventstore.Receipt{}, false, err
	}
	record.Expect = at.Version // seen accepted: no other may be put
	// The version comes first. What an earlier call has put at a lower one is found by its ids now, or has lost its
	// race. Looked for before, it could come into the index in between, and be put a second time behind itself.
	receipt, known, err := s.first(ctx, *record)
	if err != nil || known {
		return receipt, known, err
	}
	if err := alive(head.Identity); err != nil {
		return receipt, false, err
	}
	if err := refuse(*record, at, expected); err != nil {
		return receipt, false, err
	}
	if err := s.decide(ctx, *record); err != nil {
		return receipt, false, err
	}
	return s.settle(ctx, *record, expected)
}

// first returns the receipt of the record's commit, if it was given, or of its command, if its stream has one.
func (s *Store) first(ctx context.Context, record Record) (eventstore.Receipt, bool, error) {
	if isCommitGiven(ctx) {
		found, known, err := s.index.findCommit(ctx, record.Commit, record.Stream)
		if err != nil {
			return eventstore.Receipt{}, false, err
		}
		if known {
			receipt, err := s.index.receipt(ctx, found)
			return receipt, err == nil, err
		}
	}
	if record.Command.ID.IsZero() {
		return eventstore.Receipt{}, false, nil
	}
	found, known, err := s.index.commandOn(ctx, s.index.database.db, record.Command.ID, record.Stream)
	if err != nil || !known {
		return eventstore.Receipt{}, false, err
	}
	return s.repeated(ctx, record.Command, found)
}

// refuse says what is to be said before anything is put.
func refuse(record Record, at State, expected eventstore.ExpectedVersion) error {
	switch {
	case at.Deleted:
		return eventstore.ErrStreamDeleted
	case !expected.Accepts(at.Version), record.Delete && at.Version == 0:
		return &eventstore.VersionConflictError{Stream: record.Stream, Expected: expected, Actual: at.Version}
	}
	return nil
}

// settle reads in the index, which has passed the record, what became of it.
func (s *Store) settle(ctx context.Context, record Record, expected eventstore.ExpectedVersion) (eventstore.Receipt, bool, error) {
	// The outcome is there to be read, so it is not for ctx to end: its error would say that nothing was appended.
	// An index that hangs ends it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.settling)
	defer cancel()
	receipt, settled, err := s.outcome(ctx, record, expected)
	if err != nil && !isRefusal(err) {
		err = &OutcomeUnknownError{Commit: record.Commit, Stream: record.Stream, Expect: record.Expect, Cause: "read the index: " + err.Error()}
	}
	return receipt, settled, err
}

func isRefusal(err error) bool {
	return errors.Is(err, eventstore.ErrVersionConflict) || errors.Is(err, eventstore.ErrStreamDeleted) || errors.Is(err, eventstore.ErrIdempotencyMismatch)
}

func (s *Store) outcome(ctx context.Context, record Record, expected eventstore.ExpectedVersion) (eventstore.Receipt, bool, error) {
	won, found, err := s.index.commitAt(ctx, record.Stream, record.Expect+1)
	if err != nil {
		return eventstore.Receipt{}, false, err
	}
	if found && won.commit == record.Commit {
		receipt, err := s.index.receipt(ctx, won)
		return receipt, err == nil, err
	}
	if receipt, known, err := s.first(ctx, record); err != nil || known {
		return receipt, known, err
	}
	at, err := s.index.state(ctx, s.index.database.db, record.Stream)
	if err != nil {
		return eventstore.Receipt{}, false, err
	}
	return eventstore.Receipt{}, false, refuse(record, at, expected)
}
