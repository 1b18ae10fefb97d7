package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/leases"
	"github.com/leftfold/leftfold/projection"
)

// Whoever changes generations locks, in this order: the name's rows in read_models, which no
// commit touches; the table or SQL view that is changed; the segments. A commit has its table
// before it locks a segment. So nobody waits for one who waits for him.

// Builds implements [projection.Generations].
func (s *Sink) Builds(ctx context.Context, name string) (all []projection.Build, err error) {
	err = s.on(ctx, func(on session) error {
		all, _, err = s.builds(ctx, on, name)
		return err
	})
	return all, err
}

// Names implements [projection.Lister].
func (s *Sink) Names(ctx context.Context) (names []string, err error) {
	err = s.on(ctx, func(on session) error {
		names = nil
		return on.rows(ctx, s.db.sql.readModelNames, func(row [][]byte) error {
			names = append(names, string(row[0]))
			return nil
		})
	})
	return names, err
}

// builds returns the generations of a name, and how many indexes of each are still to be made.
func (s *Sink) builds(ctx context.Context, on session, name string) (all []projection.Build, unindexed map[projection.Generation]int, err error) {
	b := builds{sink: s, name: name, unindexed: map[projection.Generation]int{}}
	err = on.rows(ctx, s.db.sql.builds, b.scan, []byte(name))
	return b.all, b.unindexed, err
}

// builds are the generations of a name, as they are read.
type builds struct {
	sink      *Sink
	name      string
	all       []projection.Build
	unindexed map[projection.Generation]int
}

func (b *builds) scan(row [][]byte) error {
	of := projection.Generation{Name: b.name, Version: int(readInt8(row[8]))}
	n := slices.IndexFunc(b.all, func(build projection.Build) bool { return build.Generation == of })
	if n < 0 {
		n = len(b.all)
		b.all = append(b.all, projection.Build{Generation: of, Stage: projection.Stage(row[9])})
		b.unindexed[of] = int(readInt4(row[10]))
	}
	if row[0] != nil {
		b.all[n].Checkpoints = append(b.all[n].Checkpoints, b.sink.shares(of, eventstore.StoreID(row[7])).checkpoint(row))
	}
	return nil
}

// change runs f in a transaction that has locked the generations of a name, and gives it what
// they are.
func (s *Sink) change(ctx context.Context, name string, f func(on session, tx pgx.Tx, all []projection.Build) error) error {
	err := s.on(ctx, func(on session) error {
		return inTransaction(ctx, on.conn, "", func(tx pgx.Tx) error {
			if err := on.rows(ctx, s.db.sql.lockReadModels, noColumns, []byte(name)); err != nil {
				return err
			}
			all, _, err := s.builds(ctx, on, name)
			if err != nil {
				return err
			}
			return f(on, tx, all)
		})
	})
	if err == nil {
		s.news.committed()
	}
	return err
}

// lockSegments locks the segments of all generations of a name, and returns those as they are then.
//
// A split that commits while we wait adds a segment that we do not see. So we look again until
// there is none that we have not locked: it takes a lock on one to add another.
func (s *Sink) lockSegments(ctx context.Context, on session, name string) ([]projection.Build, error) {
	var locked []string
	for {
		var found []string
		err := on.rows(ctx, s.db.sql.lockAllSegments, func(row [][]byte) error {
			found = append(found, fmt.Sprintf("%x %x %x", row[0], row[1], row[2]))
			return nil
		}, []byte(name))
		if err != nil {
			return nil, err
		}
		if slices.Equal(found, locked) {
			all, _, err := s.builds(ctx, on, name)
			return all, err
		}
		locked = found
	}
}

// Index implements [projection.Generations]. Each index is made in a transaction of its own, which
// commits to the generation wait for. In the end the planner learns what is in the table.
func (s *Sink) Index(ctx context.Context, model projection.Model) error {
	made := false
	for left := 1; left > 0; {
		err := s.change(ctx, model.Name, func(on session, tx pgx.Tx, _ []projection.Build) error {
			_, unindexed, err := s.builds(ctx, on, model.Name)
			if err != nil {
				return err
			}
			if left = unindexed[model.Generation]; left == 0 {
				return nil
			}
			name := model.Indexes[len(model.Indexes)-left]
			if _, err := tx.Exec(ctx, s.db.schema.createIndex(model, name)); err != nil {
				return fmt.Errorf("make the index of %s by %s: %w", model.Generation, name, explain(err))
			}
			left--
			made = true
			return on.rows(ctx, s.db.sql.putUnindexed, noColumns, []byte(model.Name), bigint(int64(model.Version)), int4(int32(left)))
		})
		if err != nil {
			return err
		}
	}
	if !made {
		return nil
	}
	return s.on(ctx, func(on session) error {
		_, err := on.conn.Exec(ctx, "ANALYZE "+s.db.schema.tableOf(model.Generation))
		return explain(err)
	})
}

// Promote implements [projection.Generations]. While it waits for those who read the SQL view at
// that moment, later ones wait behind it; after half a second it gives up with
// [eventstore.ErrStoreBusy].
func (s *Sink) Promote(ctx context.Context, of projection.Generation) error {
	return s.change(ctx, of.Name, func(on session, tx pgx.Tx, all []projection.Build) error {
		live, err := projection.CheckPromotion(all, of) // before readers have to wait
		if err != nil || live.Generation == of {
			return err
		}
		_, unindexed, err := s.builds(ctx, on, of.Name)
		if err != nil {
			return err
		}
		if unindexed[of] > 0 {
			return fmt.Errorf("%s lacks %d of its indexes: call Index before", of, unindexed[of])
		}
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '500ms'"); err != nil {
			return explain(err)
		}
		if err := s.show(ctx, on, of); err != nil {
			return err
		}
		if all, err = s.lockSegments(ctx, on, of.Name); err != nil {
			return err
		}
		if live, err = projection.CheckPromotion(all, of); err != nil {
			return err
		}
		for _, put := range []struct {
			version int
			stage   projection.Stage
		}{{live.Version, projection.Kept}, {of.Version, projection.Live}} {
			if err := on.rows(ctx, s.db.sql.putStage, noColumns, []byte(of.Name), bigint(int64(put.version)), []byte(put.stage)); err != nil {
				return err
			}
		}
		return nil
	})
}

// show has the SQL view of the name show a generation's table. A handler has none.
func (s *Sink) show(ctx context.Context, on session, of projection.Generation) error {
	table, has, err := s.hasTable(ctx, on, of)
	if err != nil || !has {
		return err
	}
	if err := on.rows(ctx, s.db.sql.show, noColumns, []byte(of.Name), []byte(table)); err != nil {
		err = fmt.Errorf("have the SQL view live_%s show %s: %w", of.Name, of, err)
		if errors.Is(err, ErrDenied) {
			err = fmt.Errorf("%w; only the role that owns the view can do that", err)
		}
		return err
	}
	return nil
}

func (s *Sink) hasTable(ctx context.Context, on session, of projection.Generation) (table string, has bool, err error) {
	table = s.db.schema.tableOf(of)
	err = on.conn.QueryRow(ctx, "SELECT to_regclass($1::text) IS NOT NULL", pgx.QueryExecModeExec, table).Scan(&has)
	return table, has, explain(err)
}

// Retire implements [projection.Generations].
func (s *Sink) Retire(ctx context.Context, of projection.Generation) error {
	return s.change(ctx, of.Name, func(on session, tx pgx.Tx, all []projection.Build) error {
		b, there := projection.FindBuild(all, of)
		switch {
		case !there:
			return nil
		case b.Stage == projection.Live:
			return projection.ErrLive
		}
		return s.drop(ctx, on, tx, of, func() error {
			attended, err := on.row(ctx, s.db.sql.attended, noColumns, []byte(of.Name), bigint(int64(of.Version)))
			if err == nil && attended {
				err = projection.ErrAttended
			}
			return err
		})
	})
}

// drop removes all of a generation, if it may be when it is locked.
func (s *Sink) drop(ctx context.Context, on session, tx pgx.Tx, of projection.Generation, may func() error) error {
	if _, err := tx.Exec(ctx, "DROP TABLE IF EXISTS "+s.db.schema.tableOf(of)); err != nil {
		const dependent = "2BP01"
		if failure, ok := errors.AsType[*pgconn.PgError](err); ok && failure.Code == dependent {
			return fmt.Errorf("%s is used by others, drop their views first: %s: %w", of, failure.Detail, err)
		}
		return fmt.Errorf("drop the table of %s: %w", of, explain(err))
	}
	if _, err := s.lockSegments(ctx, on, of.Name); err != nil {
		return err
	}
	if err := s.notInline(ctx, on, of); err != nil {
		return err
	}
	if err := may(); err != nil {
		return err
	}
	for _, st := range []statement{s.db.sql.dropReadModel, s.db.sql.dropSegments, s.db.sql.dropWorkers, s.db.sql.unparkAll} {
		if err := on.rows(ctx, st, noColumns, []byte(of.Name), bigint(int64(of.Version))); err != nil {
			return err
		}
	}
	return nil
}

// notInline refuses what would take a read model away from the appends that apply it. Its segments
// are locked.
func (s *Sink) notInline(ctx context.Context, on session, of projection.Generation) error {
	inline := false
	err := on.rows(ctx, s.db.sql.inline, func(row [][]byte) error {
		inline = inline || of == projection.Generation{Name: string(row[0]), Version: int(readInt8(row[1]))}
		return nil
	})
	if err == nil && inline {
		err = projection.ErrInlineAttended
	}
	return err
}

// Reset implements [projection.Generations].
func (s *Sink) Reset(ctx context.Context, of projection.Generation, source eventstore.Identity) error {
	return s.change(ctx, of.Name, func(on session, tx pgx.Tx, all []projection.Build) error {
		if _, there := projection.FindBuild(all, of); !there {
			return fmt.Errorf("%w: %s in schema %s", projection.ErrNotBuilt, of, s.db.schema)
		}
		table, has, err := s.hasTable(ctx, on, of)
		if err == nil && has {
			_, err = tx.Exec(ctx, "TRUNCATE "+table)
			err = explain(err)
		}
		if err != nil {
			return fmt.Errorf("empty the table of %s: %w", of, err)
		}
		return s.rewind(ctx, on, of, source)
	})
}

// rewind puts the segments of a generation at position 0.
func (s *Sink) rewind(ctx context.Context, on session, of projection.Generation, source eventstore.Identity) error {
	all, err := s.lockSegments(ctx, on, of.Name)
	if err != nil {
		return err
	}
	if err := s.notInline(ctx, on, of); err != nil {
		return err
	}
	b, _ := projection.FindBuild(all, of)
	done := map[eventstore.StoreID]bool{}
	for _, at := range b.Checkpoints {
		if done[at.Source.Store] {
			continue
		}
		done[at.Source.Store] = true
		f := s.shares(of, at.Source.Store)
		before, _, err := f.load(ctx, on, s.db.sql.segments)
		if err != nil {
			return err
		}
		after := before.Clone()
		after.Rewind(source)
		if err := f.save(ctx, on, leases.Changed(before, after)); err != nil {
			return err
		}
	}
	return on.rows(ctx, s.db.sql.unparkAll, noColumns, []byte(of.Name), bigint(int64(of.Version)))
}

// Restart implements [projection.TxSink]. The bounds of the transaction are those of
// [Sink.Transact].
func (s *Sink) Restart(ctx context.Context, model projection.Model, source eventstore.Identity, empty func(ctx context.Context, tx pgx.Tx) error) error {
	return s.handle(ctx, empty, func(on session, tx pgx.Tx) error { return s.restart(ctx, on, tx, model, source) })
}

// restart leaves one generation of a name, at position 0.
func (s *Sink) restart(ctx context.Context, on session, tx pgx.Tx, model projection.Model, source eventstore.Identity) error {
	if err := on.rows(ctx, s.db.sql.lockReadModels, noColumns, []byte(model.Name)); err != nil {
		return err
	}
	all, _, err := s.builds(ctx, on, model.Name)
	if err != nil {
		return err
	}
	for _, b := range all {
		if b.Generation == model.Generation {
			continue
		}
		if err := s.drop(ctx, on, tx, b.Generation, func() error { return nil }); err != nil {
			return err
		}
	}
	name, version := []byte(model.Name), bigint(int64(model.Version))
	if err := on.rows(ctx, s.db.sql.putRestarted, noColumns, name, version, []byte(model.Hash)); err != nil {
		return err
	}
	if err := on.rows(ctx, s.db.sql.insertCheckpoint, noColumns, name, version, source.Store[:], int4(source.Incarnation)); err != nil {
		return err
	}
	return s.rewind(ctx, on, model.Generation, source)
}
