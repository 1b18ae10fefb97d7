package kinesisstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// querier is the database, or a transaction on it.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// state returns what the index has of a stream.
func (x *Index) state(ctx context.Context, on querier, stream eventstore.StreamID) (at State, err error) {
	var deletes int64
	err = on.QueryRowContext(ctx, x.sql.streamState, string(stream)).Scan(&at.Version, &deletes)
	if errors.Is(err, sql.ErrNoRows) {
		return State{}, nil
	}
	at.Deleted = deletes == 1
	return at, err
}

// accepted is an append as the index has it.
type accepted struct {
	commit   CommitID
	stream   eventstore.StreamID
	last     eventstore.Version
	position eventstore.Position
	hash     eventstore.CommandHash
}

// receipt returns what the append returned.
func (x *Index) receipt(ctx context.Context, a accepted) (eventstore.Receipt, error) {
	head, err := x.head(ctx)
	if err != nil {
		return eventstore.Receipt{}, err
	}
	return eventstore.Receipt{
		Token:    eventstore.Token{Identity: head.Identity, Position: a.position},
		Versions: map[eventstore.StreamID]eventstore.Version{a.stream: a.last},
	}, nil
}

// commitAt returns the append that took a version of a stream.
func (x *Index) commitAt(ctx context.Context, stream eventstore.StreamID, v eventstore.Version) (a accepted, found bool, err error) {
	var id []byte
	found, err = scan(x.database.db.QueryRowContext(ctx, x.sql.commitAt, string(stream), int64(v)), &id, &a.last, &a.position)
	copy(a.commit[:], id)
	a.stream = stream
	return a, found, err
}

// findCommit returns the append of an id to a stream.
func (x *Index) findCommit(ctx context.Context, id CommitID, stream eventstore.StreamID) (a accepted, found bool, err error) {
	found, err = scan(x.database.db.QueryRowContext(ctx, x.sql.findCommit, id[:], string(stream)), &a.stream, &a.last, &a.position)
	return a, found, err
}

// commandOn returns the append of a command to a stream.
func (x *Index) commandOn(ctx context.Context, on querier, id eventstore.CommandID, stream eventstore.StreamID) (accepted, bool, error) {
	return command(on.QueryRowContext(ctx, x.sql.commandOn, id[:], string(stream)))
}

// findCommand returns the first append of a command, to any stream.
func (x *Index) findCommand(ctx context.Context, id eventstore.CommandID) (accepted, bool, error) {
	return command(x.database.db.QueryRowContext(ctx, x.sql.findCommand, id[:]))
}

func command(row *sql.Row) (a accepted, found bool, err error) {
	var hash []byte
	found, err = scan(row, &a.stream, &a.last, &a.position, &hash)
	copy(a.hash[:], hash)
	return a, found, err
}

func scan(row *sql.Row, into ...any) (bool, error) {
	err := row.Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// head returns the head of the index, as its own.
func (x *Index) head(ctx context.Context) (eventstore.Token, error) {
	token, err := x.database.store.Head(ctx)
	if err != nil {
		return eventstore.Token{}, err
	}
	token.Identity = x.ours(token.Identity)
	return token, nil
}

// sleep waits, or gives the error of ctx.
func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
