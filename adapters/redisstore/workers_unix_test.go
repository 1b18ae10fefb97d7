//go:build unix

package redisstore_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

// work is a child that keeps read models up to date.
func work(ctx context.Context) error {
	store, err := sqlite.Open(ctx, os.Getenv(childLog), sqlite.Options{})
	if err != nil {
		return err
	}
	client := redis.NewClient(&redis.Options{Addr: os.Getenv(childServer)})
	for {
		sink, err := redisstore.Open(ctx, client, redisstore.Options{Prefix: os.Getenv(childPrefix), Logger: silent})
		if err == nil {
			return projectiontest.WorkUntilKilled(ctx, projectiontest.Parts{Store: store, Sink: sink})
		}
		if errors.Is(err, redisstore.ErrUnsuitable) {
			return err
		}
		time.Sleep(10 * time.Millisecond) // the server was killed: it is not there yet
	}
}

// Workers are killed and paused, and the server is killed now and then, besides. It keeps a log
// on disk.
func TestTortureWorkersThatAreKilledAndPausedApplyEachEventOnce(t *testing.T) {
	server := start(t, testservers.RedisOptions{AppendOnly: true})
	path, name := filepath.Join(t.TempDir(), "log.db"), prefix()
	store, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
	torture := projectiontest.Torture{Events: 10_000 * eventstoretest.Scale, Faults: 90 * eventstoretest.Scale, Disturb: func() error {
		return errors.Join(server.Kill(t.Context()), server.Start(t.Context()))
	}}
	parts := projectiontest.Parts{Store: store, Sink: openAs(t, connectTo(t, server), name)}
	projectiontest.RunWorkers(t, parts, torture, func() *exec.Cmd {
		process := exec.CommandContext(t.Context(), os.Args[0])
		process.Env = append(os.Environ(), childLog+"="+path, childServer+"="+server.Addr(), childPrefix+"="+name)
		process.Stderr = os.Stderr
		return process
	})
}
