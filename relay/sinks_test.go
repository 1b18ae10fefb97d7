package relay_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay/relaytest"
)

// Every sink keeps the checkpoint, the leases and the dead letters of a relay.
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
	"Redis": func(t testing.TB) projection.Sink {
		server, err := testservers.SharedRedis()
		if errors.Is(err, testservers.ErrUnavailable) && os.Getenv("LEFTFOLD_TEST") != "all" {
			t.Skip(err)
		}
		require.NoError(t, err)
		client := redis.NewClient(&redis.Options{Addr: server.Addr()})
		t.Cleanup(func() { require.NoError(t, client.Close()) })
		sink, err := redisstore.Open(t.Context(), client, redisstore.Options{Prefix: eventstore.NewEventID().String(), Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
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
