package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/leftfold/leftfold/internal/leases"
	"github.com/leftfold/leftfold/projection"
)

// SwitchInline makes the projections of [Options].Inline the inline ones of the store: these and
// no others, from one append to the next. A projection that becomes inline goes on from where
// its workers were and is brought to the head first; the workers wait. One that is inline no
// more is left to workers, at the head. A later version of a projection replaces the live one at
// once. If nothing differs, nothing is done; after a failure, call it again.
//
// Every program that appends must have the same projections from then on. So switch when the
// programs change, as one migrates a schema, and not whenever one starts: an older one that
// starts again would switch back. The role needs [ToRead], [ToAppend] and [ToProject], as do
// those that append then.
//
// Errors: [projection.InlineError] of an event that a projection cannot apply,
// [projection.ParkedError] while keys are parked, [projection.ErrDefinitionChanged], those of a
// [projection.Runner] that catches up, [eventstore.ErrStoreBusy].
func (s *Store) SwitchInline(ctx context.Context) error {
	if err := s.appender.inline.Switch(ctx, s, &s.sink, s.flip); err != nil {
		return fmt.Errorf("switch the inline projections of the store in schema %s: %w", s.db.schema, err)
	}
	return nil
}

// flip makes the switch, in one transaction that holds the lock of the store: no append comes
// between.
func (s *Store) flip(ctx context.Context) error {
	err := s.db.on(ctx, s.db.handlers, func(on session) error {
		err := inTransaction(ctx, on.conn, "", func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, boundHandlerSQL); err != nil {
				return explain(err)
			}
			if err := s.in(tx).lock(ctx); err != nil {
				return err
			}
			return s.flipIn(ctx, on, tx)
		})
		if err != nil {
			return err
		}
		return on.replicated()
	})
	if err == nil {
		s.sink.news.committed()
	}
	return err
}

func (s *Store) flipIn(ctx context.Context, on session, tx pgx.Tx) error {
	inline := map[projection.Generation]bool{}
	err := on.rows(ctx, s.db.sql.inline, func(row [][]byte) error {
		inline[projection.Generation{Name: string(row[0]), Version: int(readInt8(row[1]))}] = true
		return nil
	})
	if err != nil {
		return err
	}
	for _, model := range s.appender.inline.Models() {
		delete(inline, model.Generation)
		if err := s.beginInline(ctx, on, tx, model); err != nil {
			return err
		}
	}
	for of := range inline {
		err := s.sink.shares(of, s.identity.Store).update(ctx, on, func(state *leases.State) error {
			state.EndInline()
			return nil
		})
		if err != nil {
			return err
		}
	}
	return on.one(ctx, s.db.sql.setInline, noColumns, bigint(s.appender.inline.Number()))
}

// beginInline makes one projection inline.
func (s *Store) beginInline(ctx context.Context, on session, tx pgx.Tx, model projection.Model) error {
	head, err := s.in(tx).Head(ctx)
	if err != nil {
		return err
	}
	if err := s.sink.open(ctx, tx, model, head.Identity); err != nil {
		return err
	}
	f := s.sink.shares(model.Generation, head.Store)
	if err := f.checkAlone(ctx, on); err != nil {
		return err
	}
	parked, err := f.parked(ctx, on)
	if err != nil {
		return err
	}
	return f.update(ctx, on, func(state *leases.State) error {
		if state.IsInline() && state.Segments[0].Position() == head.Position {
			return nil
		}
		in := &inlineTx{set: s.appender.inline, db: s.db, on: on, tx: tx}
		at, err := s.appender.inline.Level(ctx, s.in(tx), in, model.Generation, state.Checkpoints(), parked)
		if err == nil {
			state.BeginInline(at)
		}
		return err
	})
}

// checkAlone refuses a generation that follows other stores too.
func (f shares) checkAlone(ctx context.Context, on session) error {
	others := false
	err := on.one(ctx, f.sink.db.sql.otherSources, func(row [][]byte) error {
		others = readBool(row[0])
		return nil
	}, f.key()...)
	if err == nil && others {
		err = fmt.Errorf("projection %s follows other stores too: an append cannot apply what they have", f.of)
	}
	return err
}
