package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
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
// starts again would switch back.
//
// Errors: [projection.InlineError] of an event that a projection cannot apply,
// [projection.ParkedError] while keys are parked, [projection.ErrDefinitionChanged], those of a
// [projection.Runner] that catches up.
func (s *Store) SwitchInline(ctx context.Context) error {
	if err := s.appender.inline.Switch(ctx, s, &s.sink, s.flip); err != nil {
		return fmt.Errorf("switch the inline projections of %s: %w", s.file.path, err)
	}
	return nil
}

// flip makes the switch, in one transaction: no append comes between.
func (s *Store) flip(ctx context.Context) error {
	return s.sink.write(ctx, func(tx *transaction) error {
		if _, number, err := headAndInline(ctx, tx); err != nil || number == importing {
			return cmp.Or(err, eventstore.ErrImporting)
		}
		inline, err := inlineIn(ctx, tx)
		if err != nil {
			return err
		}
		for _, model := range s.appender.inline.Models() {
			delete(inline, model.Generation)
			if err := s.beginInline(ctx, tx, model); err != nil {
				return err
			}
		}
		end, err := head(ctx, tx)
		if err != nil {
			return err
		}
		for of := range inline {
			err := s.sink.following(of, end.Store).update(ctx, tx, func(state *leases.State) error {
				state.EndInline()
				return nil
			})
			if err != nil {
				return err
			}
		}
		return tx.exec(ctx, setInlineSQL, s.appender.inline.Number())
	})
}

// beginInline makes one projection inline.
func (s *Store) beginInline(ctx context.Context, tx *transaction, model projection.Model) error {
	end, err := head(ctx, tx)
	if err != nil {
		return err
	}
	if err := s.sink.open(ctx, tx, model, end.Identity); err != nil {
		return err
	}
	f := s.sink.following(model.Generation, end.Store)
	var others int
	if _, err := tx.find(ctx, otherSourcesSQL, f.key(), &others); err != nil {
		return err
	}
	if others > 0 {
		return fmt.Errorf("projection %s follows other stores too: an append cannot apply what they have", model.Generation)
	}
	parked, err := f.parked(ctx, tx)
	if err != nil {
		return err
	}
	return f.update(ctx, tx, func(state *leases.State) error {
		if state.IsInline() && state.Segments[0].Position() == end.Position {
			return nil
		}
		at, err := s.appender.inline.Level(ctx, txLog{tx}, inlineTx{tx: tx, level: true}, model.Generation, state.Checkpoints(), parked)
		if err == nil {
			state.BeginInline(at)
		}
		return err
	})
}

// inlineIn returns what the store applies inline, with the hashes of its definitions.
func inlineIn(ctx context.Context, tx *transaction) (map[projection.Generation]string, error) {
	rows, err := tx.query(ctx, inlineSQL)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // rows.Err tells
	found := map[projection.Generation]string{}
	for rows.Next() {
		var of projection.Generation
		var hash string
		if err := rows.Scan(&of.Name, &of.Version, &hash); err != nil {
			return nil, err
		}
		found[of] = hash
	}
	return found, rows.Err()
}

// checkInline refuses a batch of a program that does not apply what the store applies inline.
func (a *appender) checkInline(ctx context.Context, tx *transaction, number int64) error {
	if number == a.inline.Number() {
		return nil
	}
	if number == importing {
		return fmt.Errorf("append to %s: %w", a.file.path, eventstore.ErrImporting)
	}
	inline, err := inlineIn(ctx, tx)
	if err != nil {
		return err
	}
	var names []string
	for of, hash := range inline {
		names = append(names, projection.InlineName(of, hash))
	}
	return a.inline.Mismatch(names)
}

// applyInline applies the events of a batch, a list for each append, in its transaction.
func (a *appender) applyInline(ctx context.Context, log *tail, before eventstore.Position, appends [][]eventstore.Recorded) error {
	if a.inline == nil || log.head == before {
		return nil
	}
	ctx = context.WithValue(ctx, insideInline{a.file}, true)
	return a.inline.Apply(ctx, inlineTx{tx: log.tx, log: log, before: before}, appends)
}

// inlineTx is the transaction of a batch, or of a switch.
type inlineTx struct {
	tx     *transaction
	level  bool // a switch sees to the checkpoint by itself
	log    *tail
	before eventstore.Position // the head
}

func (t inlineTx) Load(ctx context.Context, loads []projection.InlineLoad) ([][]projection.Row, error) {
	all := make([][]projection.Row, len(loads))
	for n, l := range loads {
		var err error
		if all[n], err = loadRows(ctx, t.tx, l.Model, l.Keys); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (t inlineTx) Write(ctx context.Context, writes []projection.InlineWrite, _ bool) error {
	for _, w := range writes {
		if err := t.move(ctx, w.Model.Generation); err != nil {
			return err
		}
		if err := writeRows(ctx, t.tx, w.Model, w.Changes); err != nil {
			return &projection.InlineError{Generation: w.Model.Generation, Err: err}
		}
	}
	return nil
}

// move moves the checkpoint from the head before the batch to the one after it.
func (t inlineTx) move(ctx context.Context, of projection.Generation) error {
	if t.level {
		return nil
	}
	moved, err := t.tx.change(ctx, moveInlineSQL, of.Name, of.Version, t.log.identity.Store[:], t.log.identity.Incarnation,
		int64(t.log.head), t.log.last[:], int64(t.before))
	if err == nil && moved != 1 {
		err = &projection.InlineMismatchError{Behind: []string{of.String()}}
	}
	return err
}

func (t inlineTx) Handle(ctx context.Context, do func(ctx context.Context, tx *sql.Tx) error) error {
	if err := do(ctx, t.tx.Tx); err != nil || !t.tx.callers {
		return err
	}
	// No guard keeps a handler from ending the caller's transaction: what is written next would be
	// committed without the events.
	return checkOpen(t.tx.Tx)
}

// insideInline marks the context of a handler that runs in an append.
type insideInline struct{ file *file }

var errInsideInline = fmt.Errorf("%w: an inline handler runs inside of an append; write what follows from an event as rows, or append by a subscription", ErrOwnTransaction)

// txLog reads the log in a transaction.
type txLog struct{ tx *transaction }

func (l txLog) Head(ctx context.Context) (eventstore.Token, error) { return head(ctx, l.tx) }

func (l txLog) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	read := logRead{query: query}
	if err := read.start(ctx, l.tx); err != nil {
		return nil, err
	}
	next := func(last eventstore.Recorded) (page, error) { return read.page(ctx, l.tx, last.Position) }
	return eventstore.NewLogRead(read.facts, paged(read.first, query.Limit, next)), nil
}
