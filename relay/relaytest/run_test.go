package relaytest

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/relay"
)

// subject returns a bus in memory, and the other parts too.
func subject(bus *Bus) Subject {
	return bus.subject(Parts{Store: memory.NewStore(), Sink: memory.NewSink()})
}

var buses = map[string]relay.Limits{
	"without limits":                 {},
	"that takes ten of a few bytes":  {Messages: 10, Bytes: 300, MessageBytes: 200},
	"that takes one of each key":     {Messages: 10, Bytes: 1000, MessageBytes: 500, OnePerKey: true},
	"that takes one message at once": {Messages: 1},
}

func TestABusInMemoryIsAPublisher(t *testing.T) {
	t.Parallel()
	for name, limits := range buses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			Run(t, func(testing.TB) Subject { return subject(&Bus{Most: limits}) })
		})
	}
}

func TestARelayKeepsItsPromisesUnderScriptsOfFaults(t *testing.T) {
	for name, limits := range buses {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(6) {
				synctest.Test(t, func(t *testing.T) {
					require.NoError(t, checkRelay(t.Context(), subject(&Bus{Most: limits}), seed, publishAll))
				})
			}
		})
	}
}
