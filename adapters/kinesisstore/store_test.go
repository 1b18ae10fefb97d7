package kinesisstore_test

import (
	"testing"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
)

// The suite makes a database for each clause, which takes minutes with -race.
func TestTortureConformance(t *testing.T) {
	t.Parallel()
	for _, in := range databases {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			conforms(t, in)
		})
	}
}

func conforms(t *testing.T, in database) {
	eventstoretest.RunWith(t, func(t testing.TB) eventstore.Store {
		return openStore(t, unlimited(nil), in.open(t))
	}, suite)
}

// suite is what the contract means for a store whose log is a stream of Kinesis.
var suite = eventstoretest.Options{
	Divisor: 100, EventBytes: kinesisstore.DefaultEventBytes,
	Without: []string{string(eventstore.Conditions), string(eventstore.SeveralStreams), string(eventstore.EmptyAppends), "eventstore.CommandPruner"},
}
