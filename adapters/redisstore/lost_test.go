package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
)

// A checkpoint without its rows, or rows without their checkpoint, must not be gone on from.
func TestAReadModelOfWhichAKeyIsMissingIsLost(t *testing.T) {
	for _, key := range []string{"1:meta", "1:rows", "1:order", "generations"} {
		t.Run(key, func(t *testing.T) {
			client, name := connect(t), prefix()
			sink := openAs(t, client, name)
			log := newLog(t)
			log.happen(t, 50)
			require.NoError(t, log.runner(sink).CatchUp(t.Context()))
			require.EqualValues(t, 1, client.Del(t.Context(), name+":{tallies}:"+key).Val())

			again := openAs(t, client, name)
			log.happen(t, 50)
			for _, sink := range []*redisstore.Sink{sink, again} { // one has opened it, and the other has not
				_, err := projection.NewReader(sink, tallies).Get(t.Context(), "a")
				require.ErrorIs(t, err, redisstore.ErrLost)
				_, err = projection.NewReader(sink, tallies).List(t.Context(), projection.ListQuery{})
				require.ErrorIs(t, err, redisstore.ErrLost)
				_, err = sink.Checkpoint(t.Context(), tallies.Generation(), log.id)
				require.ErrorIs(t, err, redisstore.ErrLost)
				err = log.runner(sink).CatchUp(t.Context())
				require.ErrorIs(t, err, redisstore.ErrLost)
				require.ErrorIs(t, err, subscription.ErrPermanent)
				require.ErrorContains(t, err, "call Drop")
			}
			require.Zero(t, client.Exists(t.Context(), name+":{tallies}:"+key).Val(), "nothing has begun anew")

			require.NoError(t, sink.Drop(t.Context(), tallies.Generation()))
			require.NoError(t, log.runner(sink).CatchUp(t.Context()))
			require.NoError(t, log.agrees(t.Context(), sink))
		})
	}
}

// loseWhileRunning runs a projection, takes its keys away under it and returns what Run says.
func loseWhileRunning(t *testing.T, sink projection.Sink, lose func(log *log)) (*log, error) {
	t.Helper()
	log := newLog(t)
	log.happen(t, 50)
	caughtUp := make(chan struct{}, 100)
	runner := log.runner(sink)
	runner.OnProgress = func(p projection.Progress) {
		if p.Position == p.Head {
			caughtUp <- struct{}{}
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(t.Context()) }()
	<-caughtUp
	lose(log)
	log.happen(t, 1)
	return log, <-ended
}

func TestAFlushedServerIsNoticedByARunningProjectionAndBuiltAnewByTheNext(t *testing.T) {
	client := connectTo(t, start(t, testservers.RedisOptions{}))
	sink := open(t, client)
	log, err := loseWhileRunning(t, sink, func(*log) { require.NoError(t, client.FlushDB(t.Context()).Err()) })
	require.ErrorIs(t, err, redisstore.ErrLost)
	require.ErrorContains(t, err, "run its projection again")

	require.NoError(t, log.runner(sink).CatchUp(t.Context()))
	require.NoError(t, log.agrees(t.Context(), sink))
	at, err := sink.Checkpoint(t.Context(), tallies.Generation(), log.id)
	require.NoError(t, err)
	require.Equal(t, log.head(), at.Position())
}

// Somebody sets another policy while the projection runs. Which key goes first is the
// server's choice: the outcome is never a read model with a part of its rows.
func TestEvictionIsNoticed(t *testing.T) {
	client := connectTo(t, start(t, testservers.RedisOptions{Settings: map[string]string{"maxmemory-samples": "1"}}))
	missing := map[int64]int{}
	for range 10 {
		require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "0").Err())
		require.NoError(t, client.FlushDB(t.Context()).Err())
		name := prefix()
		keys := []string{name + ":{tallies}:1:meta", name + ":{tallies}:1:rows", name + ":{tallies}:1:order", name + ":{tallies}:generations"}
		sink := openAs(t, client, name)
		log, err := loseWhileRunning(t, sink, func(*log) { evict(t, client, keys) })
		require.ErrorIs(t, err, redisstore.ErrLost)

		require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "0").Err())
		left := client.Exists(t.Context(), keys...).Val()
		missing[4-left]++
		if left > 0 {
			require.ErrorIs(t, log.runner(sink).CatchUp(t.Context()), redisstore.ErrLost)
			require.NoError(t, sink.Drop(t.Context(), tallies.Generation()))
		}
		require.NoError(t, log.runner(sink).CatchUp(t.Context()))
		require.NoError(t, log.agrees(t.Context(), sink))
	}
	t.Logf("keys that were evicted, and how often: %v", missing)
}

// evict fills the server until one of the keys is gone.
func evict(t *testing.T, client *redis.Client, keys []string) {
	t.Helper()
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-random").Err())
	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory", "3mb").Err())
	for n := 0; client.Exists(t.Context(), keys...).Val() == 4; n++ {
		err := client.Set(t.Context(), fmt.Sprint("ballast-", n), strings.Repeat("x", 50_000), 0).Err()
		if err != nil && !errors.Is(err, redis.Nil) {
			require.ErrorContains(t, err, "OOM")
		}
	}
}

func TestADroppedGenerationIsGoneAndItsNeighbourIsNot(t *testing.T) {
	client, name := connect(t), prefix()
	sink := openAs(t, client, name)
	stands(t, sink)
	log := newLog(t)
	log.happen(t, 5)
	require.NoError(t, log.runner(sink).CatchUp(t.Context()))
	require.NoError(t, sink.Drop(t.Context(), tallies.Generation()))
	_, err := projection.NewReader(sink, tallies).Get(t.Context(), "a")
	require.ErrorIs(t, err, projection.ErrNotBuilt)
	require.Len(t, client.Keys(t.Context(), name+":*").Val(), 4)
}

// A worker whose read model is lost ends that projection, says so, and goes on with the others.
func TestAWorkerSaysThatAReadModelIsLostAndKeepsTheOthers(t *testing.T) {
	for _, key := range []string{"meta", "rows", "order"} {
		t.Run(key, func(t *testing.T) {
			client, name, elsewhere := connect(t), prefix(), prefix()
			log := newLog(t)
			log.happen(t, 50)
			lost, kept := openAs(t, client, name), openAs(t, client, elsewhere)
			told := make(chan error, 100)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			others := projection.NewView("others", projection.ViewOptions{Version: 1}, projection.When(func(row *tally, _ counted, _ eventstore.Recorded) { row.Events++ }))
			go func() {
				ended <- projection.Worker{
					Log: log.store, Events: log.events, TTL: time.Second,
					Tasks: []projection.Task{projection.Into(lost, tallies), projection.Into(kept, others)},
					Hooks: projection.Hooks{Failed: func(of projection.Generation, err error) {
						if of == tallies.Generation() {
							told <- err
						}
					}},
				}.Run(ctx)
			}()
			comes := func(sink *redisstore.Sink, of projection.Generation) {
				require.Eventually(t, func() bool {
					at, err := sink.Checkpoint(t.Context(), of, log.id)
					return err == nil && at.Position() == log.head()
				}, 30*time.Second, 5*time.Millisecond)
			}
			comes(lost, tallies.Generation())
			require.EqualValues(t, 1, client.Del(t.Context(), name+":{tallies}:1:"+key).Val())
			require.ErrorIs(t, <-told, redisstore.ErrLost)
			log.happen(t, 10)
			comes(kept, others.Generation())
			_, err := projection.StatusOf(t.Context(), log.store, lost, tallies.Generation())
			require.ErrorIs(t, err, redisstore.ErrLost, "the status says so too")
			stop()
			require.ErrorIs(t, <-ended, redisstore.ErrLost)
		})
	}
}
