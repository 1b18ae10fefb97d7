package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// SinkOptions are the choices of [OpenSink]. The zero value works.
type SinkOptions struct {
	// Schema is where the read models live. Default: [DefaultSchema].
	Schema string
}

// Sink keeps read models in one schema of a Postgres database: each view is an ordinary table,
// and its checkpoint moves in the transaction that writes the rows. It implements
// [projection.Sink], and [projection.TxSink] for handlers that write through a [pgx.Tx].
// It is safe for concurrent use.
//
// The table of a view is named view_<name>_<version>. It has the key as primary key, text
// compared byte by byte, and a column for each field: boolean, bigint, double precision, text
// (compared byte by byte), bytea, timestamptz, and json for nested values, which keeps their
// text as it is. Read it with any SQL tool; only the projection may write it. Postgres refuses
// a key, or a value of an indexed column, that takes more than 2.6 kB compressed, and the
// projection stops there.
//
// The SQL view live_<name> shows the table of the version that is live. When another version
// becomes so it is changed in that transaction, with all rights that were granted on it; readers
// wait for that, and never see older rows. If columns went or changed it is dropped and made
// anew, which fails while somebody else's view depends on it. A transaction that is REPEATABLE
// READ sees the new table as it was when its snapshot was taken: it should read the view first.
//
// A commit is one round trip. The server looks no further than the checkpoint if somebody else
// has moved it, so runners that come too late leave nothing behind.
type Sink struct {
	db    *database
	owned bool // the connections were made for this sink
	news  *news
}

var (
	_ projection.Sink           = (*Sink)(nil)
	_ projection.TxSink[pgx.Tx] = (*Sink)(nil)
)

// OpenSink opens a sink in a schema that [Migrate] has made, where there may be a store too,
// which may be in use or never be. Like [Open] it makes connections of its own from the pool's
// configuration: up to 8 that load and commit, up to 8 for the transactions of handlers, and up to
// 8 for those of [Sink.Read].
// Close it when nothing uses it any more.
//
// On a standby a sink serves readers, who wait for a token there. Everything else is [ErrReadOnly].
// See [OpenReplicas] for readers who need not wait.
//
// What a crash of a server without fsync or synchronous_commit takes from a read model it takes
// from its checkpoint too, and it is applied again; so a sink does not refuse such a server.
//
// The errors are those of [Open] but for [ErrNotDurable].
func OpenSink(ctx context.Context, pool *pgxpool.Pool, o SinkOptions) (*Sink, error) {
	name, err := newSchema(o.Schema)
	if err != nil {
		return nil, err
	}
	db, err := openDatabase(ctx, pool.Config(), name, defaultReaders)
	if err != nil {
		return nil, err
	}
	s := &Sink{db: db, owned: true, news: newNews(db, nil)}
	err = s.on(ctx, func(on session) error {
		return inTransaction(ctx, on.conn, pgx.ReadOnly, func(tx pgx.Tx) error { return checkSchema(ctx, tx, name) })
	})
	if err != nil {
		db.close(ctx)
		return nil, fmt.Errorf("open the sink in schema %s: %w", name, err)
	}
	return s, nil
}

// Sink returns the sink that keeps read models in the store's own schema. It is the same one
// each time, and is closed with the store. Its connections are its own, up to 8 that load and
// commit, up to 8 for handlers and up to 8 for [Sink.Read]: projections and the log do not wait for each other's.
func (s *Store) Sink() *Sink { return &s.sink }

// Close ends what is under way on a sink that was opened by [OpenSink], which gives
// [eventstore.ErrClosed] as what comes later does, and closes its connections. Stop the runners
// before. When ctx ends, Close leaves the rest to itself. On the sink of a store it does nothing.
func (s *Sink) Close(ctx context.Context) error {
	if s.owned {
		s.db.close(ctx)
		s.news.close()
	}
	return nil
}

// on runs f on a connection for statements that are soon over.
func (s *Sink) on(ctx context.Context, f func(session) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.db.on(ctx, s.db.models, f)
}

// Open implements [projection.Checkpoints].
func (s *Sink) Open(ctx context.Context, model projection.Model, source eventstore.Identity) error {
	return s.on(ctx, func(on session) error {
		found, err := s.look(ctx, on, model.Generation, source.Store)
		if err != nil || found.follows && found.hash == model.Hash {
			return err // the usual case needs no right to write
		}
		return inTransaction(ctx, on.conn, "", func(tx pgx.Tx) error { return s.open(ctx, tx, model, source) })
	})
}

// open opens the model in a transaction.
func (s *Sink) open(ctx context.Context, tx pgx.Tx, model projection.Model, source eventstore.Identity) error {
	if err := s.register(ctx, tx, model); err != nil {
		return err
	}
	on, params := s.db.session(tx.Conn()), [][]byte{[]byte(model.Name), bigint(int64(model.Version)), source.Store[:]}
	// A switch opens it too: either sees what the other has done.
	if err := on.rows(ctx, s.db.sql.lockReadModels, noColumns, params[0]); err != nil {
		return err
	}
	err := on.one(ctx, s.db.sql.inlineElsewhere, func(row [][]byte) error {
		if readBool(row[0]) {
			return projection.AloneError(model.Generation)
		}
		return nil
	}, params...)
	if err != nil {
		return err
	}
	return on.rows(ctx, s.db.sql.insertCheckpoint, noColumns, append(params, int4(source.Incarnation))...)
}

func noColumns([][]byte) error { return nil }

// register creates the generation's table, or checks that it was made by the same rules.
func (s *Sink) register(ctx context.Context, tx pgx.Tx, model projection.Model) error {
	on := s.db.session(tx.Conn())
	for {
		var stage projection.Stage
		first, err := on.row(ctx, s.db.sql.insertReadModel, func(row [][]byte) error {
			stage = projection.Stage(row[0])
			return nil
		}, []byte(model.Name), bigint(int64(model.Version)), []byte(model.Hash), int4(int32(len(model.Indexes))))
		if err != nil {
			return fmt.Errorf("register %s: %w", model.Generation, err)
		}
		if first {
			return s.create(ctx, tx, model, stage)
		}
		builds, _, err := s.builds(ctx, on, model.Name)
		if err != nil {
			return err
		}
		if _, there := projection.FindBuild(builds, model.Generation); there {
			break
		}
		if live, there := projection.LiveBuild(builds); there && live.Version > model.Version {
			return fmt.Errorf("%w: %s in schema %s", projection.ErrOutdated, live.Generation, s.db.schema)
		}
		// Another generation became the first one while we waited for it.
	}
	found, err := s.look(ctx, on, model.Generation, eventstore.StoreID{})
	if err == nil && found.hash != model.Hash {
		err = fmt.Errorf("%w: %s in schema %s was built by another definition; raise its version", projection.ErrDefinitionChanged, model.Generation, s.db.schema)
	}
	return err
}

// create makes the table of a generation, and of a live one what else it has.
func (s *Sink) create(ctx context.Context, tx pgx.Tx, model projection.Model, stage projection.Stage) error {
	text, err := s.db.schema.createTable(model)
	if err == nil {
		err = explain(tx.Conn().PgConn().Exec(ctx, text).Close())
	}
	if err != nil {
		return fmt.Errorf("create the table of %s: %w", model.Generation, err)
	}
	if stage != projection.Live || len(model.Columns) == 0 {
		return nil
	}
	for _, name := range model.Indexes {
		if err := explain(tx.Conn().PgConn().Exec(ctx, s.db.schema.createIndex(model, name)).Close()); err != nil {
			return fmt.Errorf("make the index of %s by %s: %w", model.Generation, name, err)
		}
	}
	return s.show(ctx, s.db.session(tx.Conn()), model.Generation)
}

// Changed implements [projection.Checkpoints]. It tells of commits made through this Sink, and
// of those made elsewhere where the server can notify us: not on a standby, nor through a proxy
// that shares connections. The first call opens a connection that listens.
func (s *Sink) Changed() <-chan struct{} { return s.news.next() }

// Commit implements [projection.Sink]. If the connection is lost before the answer, the error
// is [ErrUnavailable] and the outcome unknown. A commit that is still on its way then finds the
// checkpoint moved, or whoever moves it waits for its end.
func (s *Sink) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	sets, err := newChangeSets(model, changes)
	if err != nil {
		return err
	}
	err = s.on(ctx, func(on session) error {
		if len(sets) == 1 && len(move.Park)+len(move.Unpark) == 0 {
			return s.write(ctx, on, model, move, sets[0])
		}
		return inTransaction(ctx, on.conn, "", func(pgx.Tx) error {
			for _, set := range sets {
				if err := s.write(ctx, on, model, move, set); err != nil {
					return err
				}
				move.From = move.To // the next set is written if this transaction has moved the checkpoint
			}
			return s.park(ctx, on, model.Generation, move)
		})
	})
	if err == nil {
		s.news.committed()
	}
	return s.notBuilt(model.Generation, err)
}

// write makes the move and writes the rows.
func (s *Sink) write(ctx context.Context, on session, model projection.Model, move projection.Move, set *changeSet) error {
	commit := s.db.sql.moveCheckpoint
	var rows [][]byte
	if set.rows+len(set.gone) > 0 {
		text := s.commitSQL(model)
		commit, rows = statement{text, text}, set.params()
	}
	return s.move(ctx, on, commit, model.Generation, move, rows...)
}
