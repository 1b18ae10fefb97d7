// Package postgrestest gives a test a real Postgres database of its own, with a store in it:
//
//	func TestOrders(t *testing.T) {
//		store := postgrestest.Open(t)
//		…
//	}
//
// The first test of a process starts a server from the programs that Debian installs
// (apt-get install postgresql), in about a second; every test then gets a new database
// on it. The server listens on 127.0.0.1 only, is durable as in production, and goes
// away with the process, however that ends. It has nothing to do with a server that may
// run on the machine already.
//
// A machine without Postgres skips these tests, unless LEFTFOLD_TEST is "all": then they
// fail, because who asked for all tests must not get a green run with holes.
package postgrestest

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/internal/testservers"
)

// Open returns an empty store in a database of its own, in [postgres.DefaultSchema]. It is
// closed when the test ends. To use the database besides, or to open the store with options,
// take a [Pool] and call [postgres.Open].
func Open(t testing.TB) *postgres.Store {
	t.Helper()
	store, err := postgres.Open(t.Context(), Pool(t), postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return store
}

// Reopen opens the store of a [Pool] once more, by the address that its configuration has: for a
// process that a test starts. Nobody closes it: it is for processes that are killed.
func Reopen(ctx context.Context, url string) (*postgres.Store, error) {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, err
	}
	return postgres.Open(ctx, pool, postgres.Options{})
}

// Pool returns a pool on a database of its own that has an empty store, in
// [postgres.DefaultSchema]. It is closed when the test ends. Its role owns everything, as the
// one that migrates does; tests of what a role may do give it to others with [postgres.Grant].
//
// The database is a copy of one that is migrated once per process.
func Pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	shared := server(t)
	template, err := shared.Template(t.Context(), "store", migrate)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.New(t.Context(), database(t, shared, template))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	// A copy has the identity of what it was copied from, and two of them are two stores.
	if _, err := pool.Exec(t.Context(), "UPDATE leftfold.store SET id = gen_random_uuid()"); err != nil {
		t.Fatal(err)
	}
	return pool
}

func migrate(ctx context.Context, url string) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	_, err = postgres.Migrate(ctx, pool, postgres.MigrateOptions{})
	return err
}

// URL returns the address of an empty database that nobody else uses. It is dropped when
// the test ends, with the connections that are left.
func URL(t testing.TB) string {
	t.Helper()
	return database(t, server(t), "")
}

// server returns the Postgres of this process.
func server(t testing.TB) *testservers.Postgres {
	t.Helper()
	shared, err := testservers.SharedPostgres()
	switch {
	case err == nil:
		return shared
	case errors.Is(err, testservers.ErrUnavailable) && os.Getenv("LEFTFOLD_TEST") != "all":
		t.Skip(err)
	default:
		t.Fatal(err)
	}
	return nil
}

// database returns the address of a new database, a copy of the template.
func database(t testing.TB, server *testservers.Postgres, template string) string {
	t.Helper()
	name, err := server.NewDatabase(t.Context(), template)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.DropDatabase(context.WithoutCancel(t.Context()), name); err != nil {
			t.Error(err)
		}
	})
	return server.URL(name)
}
