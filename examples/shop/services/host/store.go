package host

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/projection"
)

// Where says where stores are: a SQLite file for each service, or a schema of a Postgres database.
type Where struct {
	Dir      string // of the files
	Postgres string // URL; empty: files
	// Redis is the URL of a server for the read models; empty: they are where the events are.
	Redis string
	// Inline has the read models written in the transactions of the appends.
	Inline bool
}

// Find fails if no file is there that the service has made: to open its store would make one.
func (w Where) Find(service string) error {
	if w.Postgres != "" {
		return nil
	}
	_, err := os.Stat(w.file(service))
	return err
}

func (w Where) file(service string) string { return filepath.Join(w.Dir, service+".db") }

// Store is where a service keeps its events and its read models.
type Store struct {
	eventstore.Store

	Sink      projection.Sink
	Inline    bool
	Snapshots *aggregate.Snapshots
	// Postgres and Pool are nil in a file.
	Postgres *postgres.Store
	Pool     *pgxpool.Pool

	close func(ctx context.Context) error
}

// Close closes it.
func (s *Store) Close(ctx context.Context) error { return s.close(ctx) }

// Open opens the store of a service. Close it.
func (w Where) Open(ctx context.Context, of Service) (*Store, error) {
	store, err := w.openEvents(ctx, of)
	if err == nil && w.Redis != "" {
		err = store.viewsIn(ctx, w.Redis)
	}
	return store, err
}

func (w Where) openEvents(ctx context.Context, of Service) (*Store, error) {
	if w.Postgres != "" {
		return w.openPostgres(ctx, of)
	}
	store, err := sqlite.Open(ctx, w.file(of.Name), sqlite.Options{Inline: inline[*sql.Tx](w, of)})
	if err != nil {
		return nil, err
	}
	if w.Inline {
		err = store.SwitchInline(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, store.Close(ctx))
	}
	snapshots := aggregate.NewSnapshots(store.Snapshots(), aggregate.SnapshotOptions{})
	return &Store{Store: store, Sink: store.Sink(), Inline: w.Inline, Snapshots: snapshots, close: store.Close}, nil
}

func (w Where) openPostgres(ctx context.Context, of Service) (_ *Store, err error) {
	pool, err := pgxpool.New(ctx, w.Postgres)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			pool.Close()
		}
	}()
	if _, err := postgres.Migrate(ctx, pool, postgres.MigrateOptions{Schema: of.Name}); err != nil {
		return nil, err
	}
	store, err := postgres.Open(ctx, pool, postgres.Options{Schema: of.Name, Inline: inline[pgx.Tx](w, of)})
	if err != nil {
		return nil, err
	}
	if w.Inline {
		err = store.SwitchInline(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, store.Close(ctx))
	}
	snapshots := aggregate.NewSnapshots(store.Snapshots(), aggregate.SnapshotOptions{})
	return &Store{store, store.Sink(), w.Inline, snapshots, store, pool, func(ctx context.Context) error {
		defer pool.Close()
		return store.Close(ctx)
	}}, nil
}

// viewsIn has the read models kept in Redis, under keys that begin with the id of the store: those of
// another one are not ours. If that fails the store is closed.
func (s *Store) viewsIn(ctx context.Context, url string) error {
	head, err := s.Head(ctx)
	if err != nil {
		return errors.Join(err, s.Close(ctx))
	}
	options, err := redis.ParseURL(url)
	if err != nil {
		return errors.Join(errors.New("the URL of Redis cannot be parsed: want redis://HOST:PORT/DATABASE"), s.Close(ctx))
	}
	client := redis.NewClient(options)
	sink, err := redisstore.Open(ctx, client, redisstore.Options{Prefix: "shop-" + head.Store.String()})
	if err != nil {
		return errors.Join(err, client.Close(), s.Close(ctx))
	}
	closeEvents := s.close
	s.Sink, s.close = sink, func(ctx context.Context) error { return errors.Join(client.Close(), closeEvents(ctx)) }
	return nil
}

func inline[Tx any](w Where, of Service) (all projection.Inline[Tx]) {
	if !w.Inline {
		return all
	}
	all.Events = api.Events
	for _, view := range of.Views {
		all.Views = append(all.Views, view)
	}
	return all
}
