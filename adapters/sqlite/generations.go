package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/internal/leases"
	"github.com/leftfold/leftfold/projection"
)

// All that changes generations has the write lock of the file from its beginning, so nobody moves a
// checkpoint meanwhile.

// Builds implements [projection.Generations].
func (s *Sink) Builds(ctx context.Context, name string) (all []projection.Build, err error) {
	err = s.file.read(ctx, func(tx *transaction) error {
		all, err = builds(ctx, tx, name)
		return err
	})
	return all, err
}

// Names implements [projection.Lister].
func (s *Sink) Names(ctx context.Context) (names []string, err error) {
	err = s.file.read(ctx, func(tx *transaction) error {
		names = nil
		rows, err := tx.query(ctx, readModelNamesSQL)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			names = append(names, name)
		}
		return rows.Err()
	})
	return names, err
}

func builds(ctx context.Context, tx *transaction, name string) (all []projection.Build, err error) {
	rows, err := tx.query(ctx, buildsSQL, name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		of := projection.Generation{Name: name}
		var stage projection.Stage
		var store, anchor []byte
		var first, end, incarnation, position, fence, parks sql.NullInt64
		if err := rows.Scan(&of.Version, &stage, &store, &first, &end, &incarnation, &position, &anchor, &fence, &parks); err != nil {
			return nil, err
		}
		if n := len(all); n == 0 || all[n-1].Generation != of {
			all = append(all, projection.Build{Generation: of, Stage: stage})
		}
		if !first.Valid {
			continue
		}
		at := subscription.Checkpoint{
			Segment:    subscription.Segment{First: eventstore.Slice(first.Int64), End: eventstore.Slice(end.Int64)},
			Source:     eventstore.Identity{Incarnation: int32(incarnation.Int64)},
			Anchor:     eventstore.Anchor{Position: eventstore.Position(position.Int64)},
			Generation: of.String(), Fence: fence.Int64, Parks: parks.Int64,
		}
		copy(at.Source.Store[:], store)
		copy(at.Anchor.EventID[:], anchor)
		build := &all[len(all)-1]
		build.Checkpoints = append(build.Checkpoints, at)
	}
	return all, rows.Err()
}

// Index implements [projection.Generations]. There is nothing left to do: Open makes the indexes.
func (s *Sink) Index(ctx context.Context, _ projection.Model) error { return ctx.Err() }

// Promote implements [projection.Generations].
func (s *Sink) Promote(ctx context.Context, of projection.Generation) error {
	return s.write(ctx, func(tx *transaction) error {
		all, err := builds(ctx, tx, of.Name)
		if err != nil {
			return err
		}
		live, err := projection.CheckPromotion(all, of)
		if err != nil || live.Generation == of {
			return err
		}
		if err := tx.exec(ctx, putStageSQL, of.Name, live.Version, string(projection.Kept)); err != nil {
			return err
		}
		if err := tx.exec(ctx, putStageSQL, of.Name, of.Version, string(projection.Live)); err != nil {
			return err
		}
		return show(ctx, tx, of)
	})
}

// show has the SQL view of the name show a generation. Of a handler there is no table to show.
func show(ctx context.Context, tx *transaction, of projection.Generation) error {
	columns, err := columnsOf(ctx, tx, of)
	if err != nil || len(columns) == 0 {
		return err
	}
	view := fmt.Sprintf(`"live_%s"`, of.Name)
	for _, statement := range []string{
		"DROP VIEW IF EXISTS " + view,
		fmt.Sprintf("CREATE VIEW %s AS SELECT %s FROM %s", view, strings.Join(columns, ", "), tableOf(of)),
	} {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("make the SQL view %s: %w", view, err)
		}
	}
	return nil
}

// columnsOf returns the columns of a generation's table, quoted; nil: it has none.
func columnsOf(ctx context.Context, tx *transaction, of projection.Generation) (columns []string, err error) {
	rows, err := tx.query(ctx, columnsSQL, fmt.Sprintf("view_%s_%d", of.Name, of.Version))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		columns = append(columns, fmt.Sprintf("%q", name))
	}
	return columns, rows.Err()
}

// Retire implements [projection.Generations].
func (s *Sink) Retire(ctx context.Context, of projection.Generation) error {
	return s.write(ctx, func(tx *transaction) error {
		all, err := builds(ctx, tx, of.Name)
		if err != nil {
			return err
		}
		b, there := projection.FindBuild(all, of)
		switch {
		case !there:
			return nil
		case b.Stage == projection.Live:
			return projection.ErrLive
		}
		var one int
		attended, err := tx.find(ctx, attendedSQL, []any{of.Name, of.Version, time.Now().UnixMicro()}, &one)
		if err == nil && attended {
			err = projection.ErrAttended
		}
		if err != nil {
			return err
		}
		return drop(ctx, tx, of)
	})
}

// drop removes all of a generation.
func drop(ctx context.Context, tx *transaction, of projection.Generation) error {
	if err := notInline(ctx, tx, of); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DROP TABLE IF EXISTS "+tableOf(of)); err != nil {
		return fmt.Errorf("drop the table of %s: %w", of, err)
	}
	for _, statement := range []string{dropReadModelSQL, dropSegmentsSQL, dropWorkersSQL, unparkAllSQL} {
		if err := tx.exec(ctx, statement, of.Name, of.Version); err != nil {
			return err
		}
	}
	return nil
}

// notInline refuses what would take a read model away from the appends that apply it.
func notInline(ctx context.Context, tx *transaction, of projection.Generation) error {
	inline, err := inlineIn(ctx, tx)
	if _, is := inline[of]; err == nil && is {
		err = projection.ErrInlineAttended
	}
	return err
}

// Reset implements [projection.Generations].
func (s *Sink) Reset(ctx context.Context, of projection.Generation, source eventstore.Identity) error {
	return s.write(ctx, func(tx *transaction) error {
		all, err := builds(ctx, tx, of.Name)
		if err != nil {
			return err
		}
		b, there := projection.FindBuild(all, of)
		if !there {
			return fmt.Errorf("%w: %s in %s", projection.ErrNotBuilt, of, s.file.path)
		}
		columns, err := columnsOf(ctx, tx, of)
		if err != nil {
			return err
		}
		if len(columns) > 0 {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+tableOf(of)); err != nil {
				return fmt.Errorf("empty the table of %s: %w", of, err)
			}
		}
		return s.rewind(ctx, tx, b, source)
	})
}

// rewind puts the segments at position 0.
func (s *Sink) rewind(ctx context.Context, tx *transaction, b projection.Build, source eventstore.Identity) error {
	if err := notInline(ctx, tx, b.Generation); err != nil {
		return err
	}
	done := map[eventstore.StoreID]bool{}
	for _, at := range b.Checkpoints {
		if done[at.Source.Store] {
			continue
		}
		done[at.Source.Store] = true
		f := s.following(b.Generation, at.Source.Store)
		before, err := f.load(ctx, tx)
		if err != nil {
			return err
		}
		after := before.Clone()
		after.Rewind(source)
		if err := f.save(ctx, tx, leases.Changed(before, after)); err != nil {
			return err
		}
	}
	return tx.exec(ctx, unparkAllSQL, b.Name, b.Version)
}

// Restart implements [projection.TxSink].
func (s *Sink) Restart(ctx context.Context, model projection.Model, source eventstore.Identity, empty func(ctx context.Context, tx *sql.Tx) error) error {
	return s.write(ctx, func(tx *transaction) error {
		all, err := builds(ctx, tx, model.Name)
		if err != nil {
			return err
		}
		for _, b := range all {
			if b.Generation == model.Generation {
				continue
			}
			if err := drop(ctx, tx, b.Generation); err != nil {
				return err
			}
		}
		b, there := projection.FindBuild(all, model.Generation)
		if !there {
			err = tx.exec(ctx, insertReadModelSQL, model.Name, model.Version, model.Hash, string(projection.Live))
		} else if err = tx.exec(ctx, putHashSQL, model.Name, model.Version, model.Hash); err == nil {
			err = tx.exec(ctx, putStageSQL, model.Name, model.Version, string(projection.Live))
		}
		if err != nil {
			return err
		}
		if err := beginSegments(ctx, tx, model.Generation, source); err != nil {
			return err
		}
		if err := s.rewind(ctx, tx, b, source); err != nil {
			return err
		}
		return apart(func() error { return empty(ctx, tx.Tx) })
	})
}
