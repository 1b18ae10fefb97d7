package relay_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay/relaytest"
)

// Every sink keeps the checkpoint, the leases and the dead letters of a relay. That of Redis is tried by its
// own tests.
var sinks = map[string]func(t testing.TB) projection.Sink{
	"memory": func(testing.TB) projection.Sink { return memory.NewSink() },
	"SQLite": func(t testing.TB) projection.Sink {
		sink, err := sqlite.OpenSink(t.Context(), filepath.Join(t.TempDir(), "relay.db"))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, sink.Close()) })
		return sink
	},
	"Postgres": func(t testing.TB) projection.Sink {
		sink, err := postgres.OpenSink(t.Context(), postgrestest.Pool(t), postgres.SinkOptions{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, sink.Close(context.Background())) })
		return sink
	},
}

func TestEverySinkKeepsTheCheckpointAndTheDeadLettersOfARelay(t *testing.T) {
	t.Parallel()
	for name, open := range sinks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			relaytest.RunSink(t, func(t testing.TB) relaytest.Parts {
				return relaytest.Parts{Store: memory.NewStore(), Sink: open(t)}
			})
		})
	}
}
