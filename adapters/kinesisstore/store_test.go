package kinesisstore_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/leftfold/leftfold/adapters/kinesisstore"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/internal/awstest"
)

// place is where a store is: on the fake or on kinesis-local, with its index in a database.
type place struct {
	name   string
	client func(t testing.TB) client
	in     database
}

func onFake(testing.TB) client       { return unlimited(nil) }
func onEmulator(t testing.TB) client { return awstest.Kinesis(t, nil) }

var places = []place{
	{"on the fake, index in SQLite", onFake, onSQLite},
	{"on the fake, index in Postgres", onFake, onPostgres},
	{"on the emulator, index in SQLite", onEmulator, onSQLite},
	{"on the emulator, index in Postgres", onEmulator, onPostgres},
}

// At full size every clause runs in every place, which takes minutes. Else it runs on the fake with SQLite, and one
// in eight, drawn anew each time, somewhere else.
func TestTortureConformance(t *testing.T) {
	t.Parallel()
	if eventstoretest.Scale == 1 {
		conforms(t, func() place {
			if rand.IntN(8) > 0 {
				return places[0]
			}
			return places[1+rand.IntN(len(places)-1)]
		})
		return
	}
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			conforms(t, func() place { return p })
		})
	}
}

func conforms(t *testing.T, next func() place) {
	var reopens sync.Map // of a store, what opens it again
	var open func(t testing.TB, c client, name string, in indexPlace) eventstore.Store
	open = func(t testing.TB, c client, name string, in indexPlace) eventstore.Store {
		store, end := openStore(t, c, name, in)
		reopens.Store(store, func(t testing.TB) eventstore.Store {
			end()
			return open(t, c, name, in)
		})
		return store
	}
	o := suite
	o.Reopen = func(t testing.TB, store eventstore.Store) eventstore.Store {
		reopen, _ := reopens.Load(store)
		return reopen.(func(t testing.TB) eventstore.Store)(t)
	}
	eventstoretest.RunWith(t, func(t testing.TB) eventstore.Store {
		p := next()
		t.Log(p.name)
		c := p.client(t)
		return open(t, c, newStream(t, c, 2), p.in.place(t))
	}, o)
}

// suite is what the contract means for a store whose log is a stream of Kinesis.
var suite = eventstoretest.Options{
	Divisor: 100, EventBytes: kinesisstore.DefaultEventBytes,
	Without: []string{string(eventstore.Conditions), string(eventstore.SeveralStreams), string(eventstore.EmptyAppends), "eventstore.CommandPruner", "eventstore.Portable"},
}
