package redisstore_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/testservers"
)

// A test about processes runs its own binary again, as a child with a log in a file, and a sink
// on the server at an address, under a prefix.
const (
	childDoes   = "LEFTFOLD_REDIS_CHILD_DOES"
	childLog    = "LEFTFOLD_REDIS_CHILD_LOG"
	childServer = "LEFTFOLD_REDIS_CHILD_SERVER"
	childPrefix = "LEFTFOLD_REDIS_CHILD_PREFIX"
)

// An example cannot skip itself: where there is no Redis, none of them runs, unless all
// tests were asked for.
func TestMain(m *testing.M) {
	if path := os.Getenv(childLog); path != "" {
		does := func() error { return work(context.Background()) }
		if os.Getenv(childDoes) == "rebuild" {
			does = func() error { return rebuild(path, os.Getenv(childServer), os.Getenv(childPrefix)) }
		}
		if err := does(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	if os.Getenv("LEFTFOLD_TEST") != "all" && testservers.RedisAvailable() != nil {
		skip := flag.Lookup("test.skip").Value
		_ = skip.Set(strings.TrimPrefix(skip.String()+"|^Example", "|")) // any text will do
	}
	goleak.VerifyTestMain(m)
}

// orSkip skips the test if this machine has no Redis.
func orSkip(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, testservers.ErrUnavailable) && os.Getenv("LEFTFOLD_TEST") != "all" {
		t.Skip(err)
	}
	require.NoError(t, err)
}

// connect returns a client of the server that all tests share.
func connect(t testing.TB) *redis.Client {
	t.Helper()
	server, err := testservers.SharedRedis()
	orSkip(t, err)
	return connectTo(t, server)
}

func connectTo(t testing.TB, server *testservers.Redis) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// start starts a server for one test.
func start(t testing.TB, options testservers.RedisOptions) *testservers.Redis {
	t.Helper()
	server, err := testservers.StartRedis(t.Context(), options)
	orSkip(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	return server
}

// open returns an empty sink: its keys have a prefix of their own.
func open(t testing.TB, client redis.UniversalClient) *redisstore.Sink {
	t.Helper()
	return openAs(t, client, prefix())
}

// prefix returns one that no other test has.
func prefix() string { return eventstore.NewEventID().String() }

func openAs(t testing.TB, client redis.UniversalClient, prefix string) *redisstore.Sink {
	t.Helper()
	sink, err := redisstore.Open(t.Context(), client, redisstore.Options{Prefix: prefix, Logger: silent})
	require.NoError(t, err)
	return sink
}

var silent = slog.New(slog.DiscardHandler)
