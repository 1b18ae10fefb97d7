package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/internal/leases"
	"github.com/leftfold/leftfold/internal/wake"
	"github.com/leftfold/leftfold/projection"
)

// Sink keeps read models in a SQLite file: each view is an ordinary table, and its
// checkpoint moves in the transaction that writes the rows. It implements
// [projection.Sink], and [projection.TxSink] for handlers that write through a
// *sql.Tx; a handler must not commit or roll back that transaction itself. It creates its
// own tables in it. Their names must not start with view_ or live_, and these are taken: store,
// events, event_tags, commands, writers, snapshots, read_models, segments, workers, parked. Nothing but a
// trigger on events keeps a handler from writing to those, and a log so changed is broken. A
// handler may be called again for the same event, after its transaction was rolled back.
//
// The table of a view is named view_<name>_<version>. It has the key as TEXT primary
// key and a column for each field: bool and int as INTEGER, time as INTEGER
// (microseconds since 1970, UTC), float as REAL, text and nested values (as JSON) as
// TEXT, bytes as BLOB. Read it with any SQL tool; only the projection may write it. The SQL
// view live_<name> shows the table of the version that is live. The indexes of a table are there
// from the start: to make them later would hold up every writer of the file.
type Sink struct {
	file    *file
	owned   bool // the file was opened for this sink
	changed wake.Signal
}

var (
	_ projection.Sink            = (*Sink)(nil)
	_ projection.TxSink[*sql.Tx] = (*Sink)(nil)
)

// OpenSink opens a sink in a file of its own, creating it if there is none, with the
// errors of [Open]. Close it when nothing uses it any more.
func OpenSink(ctx context.Context, path string) (*Sink, error) {
	f, err := openFile(ctx, path, defaultReaders)
	if err != nil {
		return nil, err
	}
	if err := f.prepare(ctx, sinkWrites, sinkReads); err != nil {
		_ = f.close(ctx) // the first error tells more
		return nil, err
	}
	return &Sink{file: f, owned: true}, nil
}

// Sink returns the sink that keeps read models in the store's own file, so that a
// backup of the file has both. It is the same one each time, and is closed with the store.
func (s *Store) Sink() *Sink { return &s.sink }

// Close closes the file of a sink that was opened by [OpenSink], once the transactions
// under way have ended. On the sink of a store it does nothing.
func (s *Sink) Close() error {
	if !s.owned {
		return nil
	}
	return s.file.close(context.Background())
}

// Open implements [projection.Checkpoints].
func (s *Sink) Open(ctx context.Context, model projection.Model, source eventstore.Identity) error {
	return s.write(ctx, func(tx *transaction) error { return s.open(ctx, tx, model, source) })
}

func (s *Sink) open(ctx context.Context, tx *transaction, model projection.Model, source eventstore.Identity) error {
	if err := s.register(ctx, tx, model); err != nil {
		return err
	}
	var inline int
	if _, err := tx.find(ctx, inlineElsewhereSQL, []any{model.Name, model.Version, source.Store[:]}, &inline); err != nil {
		return err
	}
	if inline > 0 {
		return projection.AloneError(model.Generation)
	}
	return beginSegments(ctx, tx, model.Generation, source)
}

func beginSegments(ctx context.Context, tx *transaction, of projection.Generation, source eventstore.Identity) error {
	return tx.exec(ctx, beginSegmentsSQL, of.Name, of.Version, source.Store[:], source.Incarnation, eventstore.Slices)
}

// register creates the generation's table, or checks that it was made by the same rules.
func (s *Sink) register(ctx context.Context, tx *transaction, model projection.Model) error {
	hash, err := hashOf(ctx, tx, model.Generation)
	switch {
	case err != nil:
		return err
	case hash == model.Hash:
		return nil
	case hash != "":
		return fmt.Errorf("%w: %s in %s was built by another definition; raise its version", projection.ErrDefinitionChanged, model.Generation, s.file.path)
	}
	builds, err := builds(ctx, tx, model.Name)
	if err != nil {
		return err
	}
	stage := projection.Building
	switch live, there := projection.LiveBuild(builds); {
	case !there:
		stage = projection.Live
	case model.Version < live.Version:
		return fmt.Errorf("%w: %s in %s", projection.ErrOutdated, live.Generation, s.file.path)
	}
	for _, statement := range createTable(model) {
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("create the table of %s: %w", model.Generation, err)
		}
	}
	if err := tx.exec(ctx, insertReadModelSQL, model.Name, model.Version, model.Hash, string(stage)); err != nil {
		return err
	}
	if stage != projection.Live {
		return nil
	}
	return show(ctx, tx, model.Generation)
}

// hashOf returns the hash of a generation's definition, "" if it is not in the file.
func hashOf(ctx context.Context, tx *transaction, of projection.Generation) (hash string, err error) {
	_, err = tx.find(ctx, readModelHashSQL, []any{of.Name, of.Version}, &hash)
	return hash, err
}

// Checkpoint implements [projection.Checkpoints].
func (s *Sink) Checkpoint(ctx context.Context, of projection.Generation, source eventstore.StoreID) (at subscription.Checkpoint, err error) {
	err = s.file.read(ctx, func(tx *transaction) error {
		segments, err := s.following(of, source).segments(ctx, tx)
		if err != nil {
			return err
		}
		if len(segments) > 0 {
			at = subscription.Lowest((&leases.State{Segments: segments}).Checkpoints())
			return nil
		}
		hash, err := hashOf(ctx, tx, of)
		if err == nil && hash != "" {
			err = fmt.Errorf("%w: %s does not follow store %s", eventstore.ErrForeignToken, of, source)
		}
		return err
	})
	return at, err
}

// Changed implements [projection.Checkpoints]. It tells of commits made through this
// Sink; a reader in another process polls.
func (s *Sink) Changed() <-chan struct{} { return s.changed.Next() }

// Commit implements [projection.Sink].
func (s *Sink) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	return s.write(ctx, func(tx *transaction) error {
		if err := s.following(model.Generation, move.From.Source.Store).move(ctx, tx, move); err != nil {
			return err
		}
		return writeRows(ctx, tx, model, changes)
	})
}

// Transact implements [projection.TxSink].
func (s *Sink) Transact(ctx context.Context, of projection.Generation, move projection.Move, apply func(ctx context.Context, tx *sql.Tx) error) error {
	return s.write(ctx, func(tx *transaction) error {
		// The move first: a runner that comes too late does no work in vain.
		if err := s.following(of, move.From.Source.Store).move(ctx, tx, move); err != nil {
			return err
		}
		return apart(func() error { return apply(ctx, tx.Tx) })
	})
}

// write commits a transaction on the file and wakes the waiting readers.
func (s *Sink) write(ctx context.Context, do func(tx *transaction) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.file.write(ctx, do); err != nil {
		return err
	}
	s.changed.Notify()
	return nil
}

// errHandlerExited means that nothing was written.
var errHandlerExited = errors.New("sqlite: the handler ended its goroutine (runtime.Goexit, or t.FailNow in a test) instead of returning")

// apart runs a handler's function on a goroutine of its own. The one we are on may be
// another writer's, see group.go, and a handler that ended it would take that writer
// along and never give back the turn.
func apart(do func() error) error {
	err, panicked, done := errHandlerExited, any(nil), make(chan struct{})
	go func() {
		defer close(done)
		defer func() { panicked = recover() }()
		err = do()
	}()
	<-done
	if panicked != nil {
		panic(panicked)
	}
	return err
}
