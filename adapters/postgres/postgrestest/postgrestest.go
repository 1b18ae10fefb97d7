// Package postgrestest gives a test a real Postgres database of its own.
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

	"github.com/leftfold/leftfold/internal/testservers"
)

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
