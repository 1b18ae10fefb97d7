package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// Look implements [projection.Readable]. A look is one statement, and so of one server, whatever the
// address leads to, and of one moment. The server has locked the tables before that moment: none is
// emptied or dropped in between.
func (s *Sink) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (look projection.Look, err error) {
	err = s.on(ctx, func(on session) error {
		if rows.Bare && len(model.Columns) > 0 {
			if look, err = s.lookBare(ctx, on, model, rows); err != nil || look.Stage != "" {
				return err
			}
		}
		with, err := s.lookSQL(model, rows)
		if err == nil {
			look, err = s.lookWith(ctx, on, model, with)
		}
		return err
	})
	if err != nil {
		return projection.Look{}, interrupted(err)
	}
	return look, nil
}

// lookWith looks with a statement that reads rows. One about a table that is not there says nothing
// but that. So another one asks whether the generation is there; it may be dropped, or made, just
// then.
func (s *Sink) lookWith(ctx context.Context, on session, model projection.Model, with call) (look projection.Look, err error) {
	for again := false; ; again = true {
		look, err = s.lookBy(ctx, on, model, with)
		if !isAbsent(err) {
			return look, err
		}
		if look, err = s.lookAt(ctx, on, model.Generation); err != nil || look.Stage == "" {
			return look, err
		}
		if again {
			return look, fmt.Errorf("%w: the table of %s in schema %s is gone; build it anew", projection.ErrNotBuilt, model.Generation, s.db.schema)
		}
	}
}

// bareSQL returns the statement of a look at rows and nothing else: a third of the work. With one
// row of read_models the order of the rows is that of the list.
func (s *Sink) bareSQL(model projection.Model, rows projection.RowQuery) (call, error) {
	params := lookParams(model.Generation)
	text, more := s.db.schema.loadSQL(model, len(params)+1), [][]byte{texts(rows.Keys)}
	if rows.List != nil {
		list, _, values, err := s.db.schema.listSQL(model, *rows.List, len(params)+1)
		if err != nil {
			return call{}, err
		}
		text, more = list, values
	}
	text = fmt.Sprintf("SELECT m.stage, r.* FROM %s.read_models m LEFT JOIN (%s) r ON true WHERE m.name = $1 AND m.version = $2", s.db.schema.quoted(), text)
	return call{statement: statement{text, text}, params: append(params, more...)}, nil
}

// lookBare looks at the rows of a generation that may be read. One that may not, or whose table is
// not there, has no stage: it is for a whole look, with its rows, because it may be live by then.
func (s *Sink) lookBare(ctx context.Context, on session, model projection.Model, rows projection.RowQuery) (look projection.Look, err error) {
	with, err := s.bareSQL(model, rows)
	if err != nil {
		return look, err
	}
	types := typesOfColumns(model)
	err = on.rows(ctx, with.statement, func(row [][]byte) error {
		look.Stage = projection.Stage(row[0])
		if row[1] != nil {
			look.Rows = append(look.Rows, readRow(types, row[1:]))
		}
		return nil
	}, with.params...)
	switch {
	case err != nil && !isAbsent(err):
		return projection.Look{}, err
	case err == nil && (look.Stage == projection.Live || look.Stage == projection.Kept):
		return look, nil
	}
	return projection.Look{}, nil
}

// lookAt looks without rows.
func (s *Sink) lookAt(ctx context.Context, on session, of projection.Generation) (projection.Look, error) {
	return s.lookBy(ctx, on, projection.Model{Generation: of}, call{statement: s.db.sql.look, params: lookParams(of)})
}

func lookParams(of projection.Generation) [][]byte {
	return [][]byte{[]byte(of.Name), bigint(int64(of.Version))}
}

// lookColumns are those of look.sql.
const lookColumns = "first_slice, end_slice, incarnation, position, anchor_id, fence, parks, store_id, version, stage, unindexed, type, cause, at, nth, key"

// Where the columns of a row of look.sql stand, behind those of a row of builds.
const (
	lookStage = 9  // not NULL: it is a row of builds
	lookType  = 11 // not NULL: it is something that is parked
	lookNth   = 14
	lookKey   = 15 // the columns of a row of the model follow it
)

// lookSQL returns the statement of a look at rows. A handler's has none.
func (s *Sink) lookSQL(model projection.Model, rows projection.RowQuery) (call, error) {
	params := lookParams(model.Generation)
	if len(model.Columns) == 0 {
		return call{statement: s.db.sql.look, params: params}, nil
	}
	text, nth, more := s.db.schema.loadSQL(model, len(params)+1), "NULL", [][]byte{texts(rows.Keys)}
	if rows.List != nil {
		list, orderBy, values, err := s.db.schema.listSQL(model, *rows.List, len(params)+1)
		if err != nil {
			return call{}, err
		}
		text, nth, more = list, fmt.Sprintf("row_number() OVER (ORDER BY %s)", orderBy), values
	}
	var nulls, columns strings.Builder
	for _, c := range model.Columns {
		fmt.Fprintf(&nulls, ", NULL::%s", columnTypes[c.Kind].name)
		fmt.Fprintf(&columns, ", r.%q", c.Name)
	}
	text = fmt.Sprintf("SELECT %s%s FROM (\n%s) l\nUNION ALL\nSELECT %s%s, r.\"key\"%s FROM (%s) r",
		lookColumns, nulls.String(), strings.TrimRight(s.db.sql.look.text, ";\n"), strings.Repeat("NULL, ", lookNth), nth, columns.String(), text)
	return call{statement: statement{text, text}, params: append(params, more...)}, nil
}

// lookBy looks by a statement.
func (s *Sink) lookBy(ctx context.Context, on session, model projection.Model, by call) (projection.Look, error) {
	builds := builds{sink: s, name: model.Name, unindexed: map[projection.Generation]int{}}
	var parked map[eventstore.StoreID][]projection.Parked
	var rows []nthRow
	types := typesOfColumns(model)
	err := on.rows(ctx, by.statement, func(row [][]byte) error {
		switch {
		case row[lookStage] != nil:
			return builds.scan(row)
		case row[lookType] != nil:
			if parked == nil {
				parked = map[eventstore.StoreID][]projection.Parked{}
			}
			store := eventstore.StoreID(row[7])
			parked[store] = append(parked[store], projection.Parked{
				Key: string(row[lookKey]), Event: anchor(eventstore.Position(readInt8(row[3])), row[4]),
				Type: string(row[lookType]), Cause: string(row[12]), At: readTime(row[13]),
			})
			return nil
		}
		r := nthRow{Row: readRow(types, row[lookKey:])}
		if row[lookNth] != nil {
			r.nth = readInt8(row[lookNth])
		}
		rows = append(rows, r)
		return nil
	}, by.params...)
	if err != nil {
		return projection.Look{}, err
	}
	look := projection.NewLook(builds.all, model.Generation)
	slices.SortFunc(rows, func(a, b nthRow) int { return cmp.Compare(a.nth, b.nth) })
	for _, r := range rows {
		look.Rows = append(look.Rows, r.Row)
	}
	for n := range look.Followed {
		f := &look.Followed[n]
		f.Parked = parked[f.Applied.Source.Store]
		slices.SortFunc(f.Parked, func(a, b projection.Parked) int { return strings.Compare(a.Key, b.Key) })
	}
	return look, nil
}

// nthRow is a row with its place in the order of a list.
type nthRow struct {
	projection.Row

	nth int64
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
