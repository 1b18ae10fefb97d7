package storecmd

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
)

type happened struct{ Odd bool }

type happening struct {
	ID    string `leftfold:"key"`
	Times int64
}

// happenings are a view that cannot fold what is odd.
func happenings(version int) *projection.View[happening] {
	return projection.NewView("happenings", projection.ViewOptions{Version: version},
		projection.When(func(h *happening, e happened, _ eventstore.Recorded) {
			if e.Odd {
				panic("how odd")
			}
			h.Times++
		}))
}

// keeps has two events in a store and a view of them in a sink, with one dead letter.
func keeps(t testing.TB, store eventstore.Store, sink projection.Sink) {
	t.Helper()
	for stream, data := range map[eventstore.StreamID]string{"a-1": `{}`, "a-2": `{"Odd": true}`} {
		_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Events: []eventstore.EventData{{Type: "happened", SchemaVersion: 1, Data: []byte(data)}}}}})
		require.NoError(t, err)
	}
	events, err := codec.NewSet(codec.Event[happened]("happened"))
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	w := projection.Worker{Log: store, Events: events, Tasks: []projection.Task{projection.Into(sink, happenings(1))}}
	w.Hooks.Progress = func(p projection.Progress) {
		if p.Position == 2 {
			stop()
		}
	}
	require.NoError(t, w.Run(ctx))
}

func TestReadModelsOfAStoreAreLookedAtAndSteeredByURLsAlone(t *testing.T) {
	t.Parallel()
	t.Run("SQLite, in a file of their own", func(t *testing.T) {
		t.Parallel()
		log, views := filepath.Join(t.TempDir(), "log.db"), filepath.Join(t.TempDir(), "views.db")
		store, err := sqlite.Open(t.Context(), log, sqlite.Options{})
		require.NoError(t, err)
		sink, err := sqlite.OpenSink(t.Context(), views)
		require.NoError(t, err)
		keeps(t, store, sink)
		require.NoError(t, sink.Close())
		require.NoError(t, store.Close(context.Background()))
		steers(t, "--store", "sqlite:"+log, "--read-models", "sqlite:"+views)

		r := leftfold(t.Context(), "projections", "list", "--store", "sqlite:"+log)
		assert.Equal(t, ran{0, "There are no read models yet.\n", ""}, r)
	})
	t.Run("Postgres", func(t *testing.T) {
		t.Parallel()
		pool := postgrestest.Pool(t)
		store, err := postgres.Open(t.Context(), pool, postgres.Options{})
		require.NoError(t, err)
		keeps(t, store, store.Sink())
		require.NoError(t, store.Close(context.Background()))
		url := pool.Config().ConnString()
		steers(t, "--store", url)
		steers(t, "--store", url, "--read-models", url)
	})
	t.Run("Redis", func(t *testing.T) {
		t.Parallel()
		server := redisServer(t)
		log := filepath.Join(t.TempDir(), "log.db")
		store, err := sqlite.Open(t.Context(), log, sqlite.Options{})
		require.NoError(t, err)
		client := redis.NewClient(&redis.Options{Addr: server.Addr()})
		defer client.Close()
		sink, err := redisstore.Open(t.Context(), client, redisstore.Options{Prefix: "shop", Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		keeps(t, store, sink)
		require.NoError(t, store.Close(context.Background()))
		steers(t, "--store", "sqlite:"+log, "--read-models", server.URL()+"?prefix=shop")

		r := leftfold(t.Context(), "projections", "list", "--store", "sqlite:"+log, "--read-models", server.URL())
		assert.Equal(t, ran{0, "There are no read models yet.\n", ""}, r, "those of another prefix are another's")
	})
}

func steers(t *testing.T, at ...string) {
	t.Helper()
	run := func(line ...string) string {
		t.Helper()
		r := leftfold(t.Context(), append(line, at...)...)
		require.Equal(t, cli.ExitOK, r.code, r.stderr)
		return r.stdout
	}
	var got struct {
		Projections []struct {
			Name, State string
			Position    int
			DeadLetters int `json:"dead_letters"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(run("projections", "list", "-o", "json")), &got))
	require.Len(t, got.Projections, 1)
	assert.Equal(t, "happenings", got.Projections[0].Name)
	assert.Equal(t, "stopped", got.Projections[0].State)
	assert.Equal(t, 2, got.Projections[0].Position)
	assert.Equal(t, 1, got.Projections[0].DeadLetters)
	assert.Contains(t, run("projections", "list"), "how odd\n  When its cause is mended: dead-letters retry happenings --all, of the program that has its code\n")
	assert.Regexp(t, `^happenings@1  key \d at position \d, happened, since `, run("dead-letters", "list"))
	assert.Equal(t, "happenings@1 is paused.\n", run("projections", "pause", "happenings"))
	assert.Equal(t, "happenings@1 is resumed.\n", run("projections", "resume", "happenings"))
	assert.Contains(t, run("lag", "--most", "0"), "happenings@1")
	assert.Equal(t, "There are no such instances.\n", run("sagas", "list"))
	assert.Equal(t, "No timers are pending.\n", run("timers"))
	assert.Contains(t, run("top", "--for", "1ns"), "happenings@1 is 0 behind")
}

func TestReadModelsSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "log.db")
	store, err := sqlite.Open(t.Context(), log, sqlite.Options{})
	require.NoError(t, err)
	require.NoError(t, store.Close(context.Background()))
	for _, c := range []struct {
		code int
		says string
		line []string
	}{
		{cli.ExitUsage, "say which store: --store", []string{"projections", "list"}},
		{cli.ExitFailed, "there is no file nowhere.db (--read-models)", []string{"projections", "list", "--store", "sqlite:" + log, "--read-models", "sqlite:nowhere.db"}},
		{cli.ExitUsage, `unknown read-models "mysql://x": want sqlite:FILE, postgres://… or redis://…`, []string{"lag", "--store", "sqlite:" + log, "--read-models", "mysql://x"}},
		{cli.ExitUsage, "the URL of Redis cannot be parsed", []string{"lag", "--store", "sqlite:" + log, "--read-models", "redis://localhost/x"}},
		{cli.ExitFailed, "ask Redis at 127.0.0.1:1 what it is", []string{"lag", "--store", "sqlite:" + log, "--read-models", "redis://:secret@127.0.0.1:1"}},
		{cli.ExitFailed, `there is no projection "x"`, []string{"projections", "pause", "x", "--store", "sqlite:" + log}},
		{cli.ExitFailed, `there is no saga "x": there are none`, []string{"timers", "x", "--store", "sqlite:" + log}},
	} {
		r := leftfold(t.Context(), c.line...)
		assert.Equal(t, c.code, r.code, "%v: %s", c.line, r.stderr)
		assert.Contains(t, r.stderr, c.says)
		assert.Empty(t, r.stdout)
		assert.NotContains(t, r.stderr, "secret")
	}
}

// redisServer returns the Redis that tests share.
func redisServer(t testing.TB) *testservers.Redis {
	t.Helper()
	server, err := testservers.SharedRedis()
	if errors.Is(err, testservers.ErrUnavailable) && os.Getenv("LEFTFOLD_TEST") != "all" {
		t.Skip(err)
	}
	require.NoError(t, err)
	return server
}
