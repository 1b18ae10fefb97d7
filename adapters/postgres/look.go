package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// A look is three statements that go to the server together, and so to one server, whatever the
// address leads to: a proxy keeps the connection for those who have not said that they are done.
// Each sees what was committed when it begins. So their order is what the promise rests on: the
// checkpoints; then what is parked, which may have been taken up since, and is in the rows then;
// and the rows, which have everything that was seen before, or more.

// Look implements [projection.Readable]. It is one round trip.
func (s *Sink) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (look projection.Look, err error) {
	var found []projection.Row
	selected, err := s.selectRows(model, rows, &found)
	if err != nil {
		return look, err
	}
	err = s.on(ctx, func(on session) (err error) {
		look, err = s.lookFor(ctx, on, model.Generation, selected...)
		return err
	})
	if err != nil {
		return projection.Look{}, interrupted(err)
	}
	look.Rows = found
	return look, nil
}

// selectRows returns the statement that reads rows of the model into found. A handler's has none.
func (s *Sink) selectRows(model projection.Model, rows projection.RowQuery, found *[]projection.Row) ([]call, error) {
	if len(model.Columns) == 0 {
		return nil, nil
	}
	text, params := s.db.schema.loadSQL(model), [][]byte{texts(rows.Keys)}
	if rows.List != nil {
		var err error
		if text, params, err = s.db.schema.listSQL(model, *rows.List); err != nil {
			return nil, err
		}
	}
	types := typesOfColumns(model)
	return []call{{statement: statement{text, text}, params: params, scan: func(row [][]byte) error {
		*found = append(*found, readRow(types, row))
		return nil
	}}}, nil
}

// lookFor looks, with the statement that reads rows if there is one. It fails if the table of
// the generation is not there, and so it does if that is dropped just then: the next look knows.
func (s *Sink) lookFor(ctx context.Context, on session, of projection.Generation, rows ...call) (look projection.Look, err error) {
	for again := false; ; again = true {
		look, err = s.lookOnce(ctx, on, of, rows...)
		switch {
		case !isAbsent(err):
			return look, err
		case look.Stage == "":
			return look, nil
		case again:
			return look, s.notBuilt(of, err)
		}
	}
}

func (s *Sink) lookOnce(ctx context.Context, on session, of projection.Generation, rows ...call) (projection.Look, error) {
	builds, parked := builds{sink: s, name: of.Name}, map[eventstore.StoreID][]projection.Parked{}
	first := []call{builds.call(), {statement: s.db.sql.parkedAll, scan: func(row [][]byte) error {
		store := eventstore.StoreID(row[6])
		parked[store] = append(parked[store], readParked(row))
		return nil
	}, params: [][]byte{[]byte(of.Name), bigint(int64(of.Version))}}}
	calls := append(first, rows...)
	err := on.together(ctx, calls...)
	if isAbsent(err) && !isCall(err, len(first)) {
		// A statement about a table that is not there cannot be prepared. Sent as it is, it fails
		// in its turn, after the server has told what is there.
		on.pooled = true
		err = on.together(ctx, calls...)
	}
	if err != nil && !isCall(err, len(first)) {
		return projection.Look{}, err
	}
	look := projection.NewLook(builds.all, of)
	for n := range look.Followed {
		f := &look.Followed[n]
		f.Parked = parked[f.Applied.Source.Store]
	}
	return look, err
}

// isCall reports whether an error of [session.together] is of one of the calls.
func isCall(err error, nth int) bool {
	failed, ok := errors.AsType[*callError](err)
	return ok && failed.nth == nth
}

func isAbsent(err error) bool {
	const undefinedTable = "42P01"
	failure, ok := errors.AsType[*pgconn.PgError](err)
	return ok && failure.Code == undefinedTable
}

// interrupted says of a read that a standby has broken off what that means: it had to go on with
// what the primary has done, and has nothing against the next one.
func interrupted(err error) error {
	const conflict = "40001"
	if failure, ok := errors.AsType[*pgconn.PgError](err); ok && failure.Code == conflict {
		return fmt.Errorf("%w: %w", projection.ErrInterrupted, err)
	}
	return err
}
