package kinesisstore_test

import (
	"testing"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	conforms(t, onSQLite)
}

// The same on Postgres takes longer, for the databases that it makes.
func TestTortureConformanceOnPostgres(t *testing.T) { conforms(t, onPostgres) }

func conforms(t *testing.T, in database) {
	eventstoretest.RunWith(t, func(t testing.TB) eventstore.Store {
		return openStore(t, unlimited(nil), in.open(t))
	}, eventstoretest.Options{Divisor: 100, EventBytes: kinesisstore.DefaultEventBytes})
}
