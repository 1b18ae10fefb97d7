package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// A look is statements that go to the server together, and so to one server, whatever the
// address leads to: a proxy keeps the connection for those who have not said that they are done.
// Each sees what was committed when it begins. So their order is what the promise rests on: the
// checkpoints; then what is parked, which may have been taken up since, and is in the rows then;
// and the rows, which have everything that was seen before, or more.

// Look implements [projection.Readable]. It is one round trip, and two where keys are parked.
func (s *Sink) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (look projection.Look, err error) {
	selected, err := s.selectRows(model, rows)
	if err != nil {
		return look, err
	}
	err = s.on(ctx, func(on session) (err error) {
		look, err = s.lookFor(ctx, on, model.Generation, selected)
		return err
	})
	if err != nil {
		return projection.Look{}, interrupted(err)
	}
	return look, nil
}

// selected is a statement that reads rows, and those that it has read. Without a text there is none.
type selected struct {
	statement

	params [][]byte
	types  []columnType
	rows   []projection.Row
}

// selectRows returns the statement for the rows of a model. A handler's has none.
func (s *Sink) selectRows(model projection.Model, rows projection.RowQuery) (*selected, error) {
	if len(model.Columns) == 0 {
		return &selected{}, nil
	}
	text, params := s.db.schema.loadSQL(model), [][]byte{texts(rows.Keys)}
	if rows.List != nil {
		var err error
		if text, params, err = s.db.schema.listSQL(model, *rows.List); err != nil {
			return nil, err
		}
	}
	return &selected{statement: statement{text, text}, params: params, types: typesOfColumns(model)}, nil
}

// ask makes the calls and reads the rows behind them. It reports whether their table is absent.
func (r *selected) ask(ctx context.Context, on session, calls ...call) (absent bool, err error) {
	before := len(calls)
	if r.text != "" {
		calls = append(calls, r.call())
	}
	err = on.together(ctx, calls...)
	if isAbsent(err) && !isCall(err, before) {
		// A statement about a table that is not there cannot be prepared. Sent as it is, it fails
		// in its turn, when the server has told what is there.
		on.pooled = true
		err = on.together(ctx, calls...)
	}
	if isAbsent(err) && isCall(err, before) {
		return true, nil
	}
	return false, err
}

func (r *selected) call() call {
	r.rows = nil
	return call{statement: r.statement, params: r.params, scan: func(row [][]byte) error {
		r.rows = append(r.rows, readRow(r.types, row))
		return nil
	}}
}

// isCall reports whether an error of [session.together] is of the nth call.
func isCall(err error, nth int) bool {
	failed, ok := errors.AsType[*callError](err)
	return ok && failed.nth == nth
}

// lookFor looks on one connection. A table that is not there is an error, unless the generation is
// not there either; it may be dropped just then, which the next look knows.
func (s *Sink) lookFor(ctx context.Context, on session, of projection.Generation, rows *selected) (projection.Look, error) {
	for again := false; ; again = true {
		look, absent, err := s.lookOnce(ctx, on, of, rows)
		switch {
		case err != nil || !absent || look.Stage == "":
			return look, err
		case again:
			return look, fmt.Errorf("%w: the table of %s in schema %s is gone; build it anew", projection.ErrNotBuilt, of, s.db.schema)
		}
	}
}

// lookOnce also reports whether the table of the rows is absent.
func (s *Sink) lookOnce(ctx context.Context, on session, of projection.Generation, rows *selected) (look projection.Look, absent bool, err error) {
	builds := builds{sink: s, name: of.Name}
	absent, err = rows.ask(ctx, on, builds.call())
	var parked map[eventstore.StoreID][]projection.Parked
	if err == nil && builds.parked[of] {
		parked = map[eventstore.StoreID][]projection.Parked{}
		absent, err = rows.ask(ctx, on, builds.call(), s.parkedCall(of, parked))
	}
	if err != nil {
		return look, false, err
	}
	look = projection.NewLook(builds.all, of)
	look.Rows = rows.rows
	for n := range look.Followed {
		f := &look.Followed[n]
		f.Parked = parked[f.Applied.Source.Store]
	}
	return look, absent, nil
}

// parkedCall reads what is parked of a generation, by source.
func (s *Sink) parkedCall(of projection.Generation, into map[eventstore.StoreID][]projection.Parked) call {
	return call{statement: s.db.sql.parkedAll, params: [][]byte{[]byte(of.Name), bigint(int64(of.Version))}, scan: func(row [][]byte) error {
		store := eventstore.StoreID(row[6])
		into[store] = append(into[store], readParked(row))
		return nil
	}}
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
