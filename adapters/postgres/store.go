package postgres

import (
	"context"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
	"github.com/leftfold/leftfold/projection"
)

// Options are the choices of [Open]. The zero value works.
type Options struct {
	// Schema is where the store lives; each schema is a store of its own. Default: [DefaultSchema].
	Schema string
	// Limits of an append. Default: those of package eventstore.
	Limits eventstore.Limits
	// Readers is the most connections for reads; a read that finds none free waits. Default: 8.
	Readers int
	// Listen is how to reach the server for notifications where the pool leads through a
	// proxy such as PgBouncer, which does not deliver them. The pool's BeforeConnect is called
	// with a copy of it. Default: nil, behind a proxy the store polls instead.
	Listen *pgx.ConnConfig
	// AcceptLoss opens a store on a server that acknowledges commits before they are durable
	// (fsync, full_page_writes or synchronous_commit off), and loses some of them in a crash.
	// Default: false, [ErrNotDurable].
	AcceptLoss bool
	// Inline are projections that appends apply in their own transactions, once
	// [Store.SwitchInline] has made them inline. Default: none.
	Inline projection.Inline[pgx.Tx]
}

// Store is an [eventstore.Store] in one schema of a Postgres database. It can also wake
// readers ([eventstore.Notifier]), delete streams ([eventstore.StreamDeleter]), forget command
// ids ([eventstore.CommandPruner]) and be exported and imported ([eventstore.Portable]). It is safe for concurrent use.
type Store struct {
	db       *database
	reader   reader
	identity eventstore.Identity // when it was opened
	limits   eventstore.Limits
	queue    *groupcommit.Queue
	appender appender
	wakeups  wakeups
	sink     Sink
	drained  chan struct{} // closed when the appender has answered everybody
}

var (
	_ eventstore.Store         = (*Store)(nil)
	_ eventstore.Notifier      = (*Store)(nil)
	_ eventstore.StreamDeleter = (*Store)(nil)
	_ eventstore.CommandPruner = (*Store)(nil)
	_ eventstore.Portable      = (*Store)(nil)
	_ eventstore.Capable       = (*Store)(nil)
)

// Open opens the store in a schema that [Migrate] has made. Several stores, of this or other
// processes, may be open on one schema.
//
// The store opens connections of its own, from the pool's configuration: one to append, one
// to listen, and up to Options.Readers to read. Neither waits for another: appends go on while
// every reader is busy. It takes none out of the pool, so that it cannot wait for a connection
// that waits for it. The pool may be closed, the store goes on.
//
// The pool's hooks, tracer and lifetimes hold for the connections that append and read, its
// sizes do not. The one that listens, and the one that Open looks around with, are no pool's:
// of the hooks they call BeforeConnect only, so that tokens that serve as passwords are fresh.
//
// On a standby the store can be read; appends are [ErrReadOnly]. Its log is a prefix of the
// primary's: Head does not cover the newest appends, and LookupCommand may not know a command
// that the primary has. So ask the primary what became of an append, and wait with a token of
// the primary before reading here.
//
// Errors: [ErrNoStore], [ErrOldSchema], [ErrNewerSchema], [ErrNotDurable],
// [ErrUnsupportedServer], [ErrDenied], [ErrUnavailable], [eventstore.ErrInvalid].
func Open(ctx context.Context, pool *pgxpool.Pool, o Options) (*Store, error) {
	name, err := newSchema(o.Schema)
	if err != nil {
		return nil, err
	}
	if o.Readers <= 0 {
		o.Readers = defaultReaders
	}
	inline, err := o.Inline.Resolve()
	if err != nil {
		return nil, fmt.Errorf("open the store in schema %s: %w", name, err)
	}
	db, err := openDatabase(ctx, pool.Config(), name, o.Readers)
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, sink: Sink{db: db, news: newNews(db, o.Listen)}, limits: o.Limits, drained: make(chan struct{}), reader: reader{sql: &db.sql, on: db.do, ahead: true}}
	if err := s.check(ctx, o); err != nil {
		db.close(ctx)
		return nil, fmt.Errorf("open the store in schema %s: %w", name, err)
	}
	s.queue = groupcommit.NewQueue(groupcommit.Options{
		BatchEvents: batchEvents, BatchBytes: batchBytes, Batches: queuedBatches, Patience: answerPatience,
	})
	// The appender's own identity is that of the log which has this head.
	appended := func(head eventstore.Position) {
		if inline != nil {
			s.sink.news.changed.Notify()
		}
		s.wakeups.saw(eventstore.Token{Identity: s.appender.identity, Position: head})
	}
	s.appender = appender{
		db: db, queue: s.queue, identity: s.identity, writer: eventstore.NewEventID(), appended: appended, inline: inline,
		patience: patience{batchPatience, reconnectPatience, settlePatience},
	}
	if !db.pooled && inline == nil {
		s.appender.overlap = overlapEvents
	}
	s.wakeups.open(s, o.Listen)
	go func() {
		defer close(s.drained)
		s.appender.run()
	}()
	return s, nil
}

// check holds the server and the schema against what this program needs.
func (s *Store) check(ctx context.Context, o Options) error {
	return s.db.do(ctx, func(on session) error {
		if err := inTransaction(ctx, on.conn, pgx.ReadOnly, func(tx pgx.Tx) error {
			if err := checkSchema(ctx, tx, s.db.schema); err != nil {
				return err
			}
			return checkDurable(ctx, tx, o.AcceptLoss)
		}); err != nil {
			return err
		}
		found, err := on.adopt(ctx, s.db.sql)
		s.identity, s.db.store = found.head.Identity, found.head.Store
		return err
	})
}

// checkDurable refuses a server that acknowledges a commit before it is on disk.
func checkDurable(ctx context.Context, tx pgx.Tx, acceptLoss bool) error {
	if acceptLoss {
		return nil
	}
	for _, name := range durableSettings {
		value, err := currentSetting(ctx, tx, name)
		if err != nil {
			return explain(err)
		}
		if value == "off" {
			return fmt.Errorf("%w: %s is off; turn it on, or set Options.AcceptLoss if you can afford to lose events in a crash", ErrNotDurable, name)
		}
	}
	return nil
}

// durableSettings are those of which none may be off.
var durableSettings = []string{"fsync", "full_page_writes", "synchronous_commit"}

func currentSetting(ctx context.Context, on interface {
	QueryRow(ctx context.Context, text string, args ...any) pgx.Row
}, name string) (value string, err error) {
	err = on.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&value)
	return value, err
}

// LookupCommand implements [eventstore.Appender].
func (s *Store) LookupCommand(ctx context.Context, command eventstore.Command) (eventstore.Receipt, bool, error) {
	return s.reader.lookupCommand(ctx, command)
}

// ReadStream implements [eventstore.StreamReader]. The prefix of the log is fixed when
// the loop starts.
func (s *Store) ReadStream(ctx context.Context, stream eventstore.StreamID, in eventstore.StreamRange) iter.Seq2[eventstore.Recorded, error] {
	return s.reader.readStream(ctx, stream, in)
}

// ReadLog implements [eventstore.LogReader].
func (s *Store) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	return s.reader.readLog(ctx, query)
}

// Head implements [eventstore.LogReader].
func (s *Store) Head(ctx context.Context) (eventstore.Token, error) { return s.reader.head(ctx) }

// Close refuses new appends with [eventstore.ErrClosed] and waits until those in the queue
// are answered. Then it ends the reads and waits under way, which give [eventstore.ErrClosed]
// like those that come later, and closes the store's connections.
//
// If ctx ends first, the appends that have not been sent are refused too, one that was sent
// is [eventstore.ErrOutcomeUnknown] unless its answer comes within a quarter of a second, and
// Close returns the error of ctx. So give it a deadline: a server that hangs keeps Close
// waiting for as long as the appends wait, up to a minute for each batch that is queued, and
// up to 15 seconds more for its connections. Closing again does nothing.
func (s *Store) Close(ctx context.Context) error {
	s.queue.Close()
	var late error
	select {
	case <-s.drained:
	case <-ctx.Done():
		late = ctx.Err()
		s.queue.Discard()
		if !waitLonger(ctx, s.drained) {
			s.db.abort()
			<-s.drained
		}
	}
	s.wakeups.close()
	s.db.close(ctx)
	s.sink.news.close()
	return late
}
