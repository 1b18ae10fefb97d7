package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/projection/projectiontest"
)

// sharedCluster ends with the process, as the shared server does.
var sharedCluster = sync.OnceValues(func() (*testservers.RedisCluster, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return testservers.StartRedisCluster(ctx, testservers.RedisClusterOptions{Replicas: true})
})

func connectCluster(t testing.TB, cluster *testservers.RedisCluster, options redis.ClusterOptions) *redis.ClusterClient {
	t.Helper()
	options.Addrs = cluster.Addrs()
	client := redis.NewClusterClient(&options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

func TestSinkOnACluster(t *testing.T) {
	projectiontest.RunSink(t, func(t testing.TB) projection.Sink {
		cluster, err := sharedCluster()
		orSkip(t, err)
		return open(t, connectCluster(t, cluster, redis.ClusterOptions{}))
	})
}

func TestEffectsOnACluster(t *testing.T) {
	projectiontest.RunEffects(t, func(t testing.TB) projectiontest.Parts {
		cluster, err := sharedCluster()
		orSkip(t, err)
		// Whatever the client does with plain reads.
		client := connectCluster(t, cluster, redis.ClusterOptions{ReadOnly: true, RouteRandomly: true})
		return projectiontest.Parts{Store: memory.NewStore(), Sink: open(t, client)}
	})
}

// A replica lags. Rows from there under a checkpoint from the master would lose events.
func TestRowsAndCheckpointsComeFromTheMaster(t *testing.T) {
	cluster, err := sharedCluster()
	orSkip(t, err)
	asked := func() (count int) { // commands that no master sends to its replica
		for _, replica := range cluster.Replicas {
			stats := fmt.Sprint(info(t, replica, "commandstats"))
			for _, command := range []string{"hmget", "exists", "hget", "zrange"} {
				count += strings.Count(stats, "cmdstat_"+command+":")
			}
		}
		return count
	}
	client := connectCluster(t, cluster, redis.ClusterOptions{ReadOnly: true, RouteRandomly: true})
	require.Eventually(t, func() bool {
		client.ReloadState(t.Context()) // a cluster that has just formed does not list its replicas yet
		require.NoError(t, client.HMGet(t.Context(), "any", "field").Err())
		return asked() > 0
	}, 30*time.Second, 5*time.Millisecond, "this client sends plain reads to replicas")
	for _, replica := range cluster.Replicas {
		require.NoError(t, connectTo(t, replica).ConfigResetStat(t.Context()).Err())
	}

	sink, log := open(t, client), newLog(t)
	log.happen(t, 500)
	require.NoError(t, log.runner(sink).CatchUp(t.Context()))
	require.NoError(t, log.agrees(t.Context(), sink))
	require.NoError(t, sink.Drop(t.Context(), tallies.Generation()))
	require.Zero(t, asked())
}

// failover lets the master fail while a projection is under way. What its replica did not get
// is lost, rows and checkpoint alike, and is applied again.
func failover(t *testing.T, client redis.UniversalClient, masters []*testservers.Redis) {
	t.Helper()
	name, log := prefix(), newLog(t)
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	log.happen(t, 1000)
	runner := log.runner(openAs(t, client, name))
	require.NoError(t, runner.CatchUp(ctx))
	master := masters[slices.IndexFunc(masters, func(r *testservers.Redis) bool { return info(t, r)["db0"] != "" })]
	require.Eventually(t, func() bool {
		replication := info(t, master)
		return strings.Contains(replication["slave0"], "state=online,offset="+replication["master_repl_offset"]+",")
	}, 30*time.Second, 5*time.Millisecond)
	log.happen(t, 4000)
	var once sync.Once
	runner.OnProgress = func(p projection.Progress) {
		if p.Position > 2000 {
			once.Do(func() { require.NoError(t, master.Kill(context.Background())) })
		}
	}
	for err := errors.New("not started"); err != nil; {
		err = runner.CatchUp(ctx)
		require.NoError(t, ctx.Err(), "it does not go on: %v", err)
		require.NotErrorIs(t, err, redisstore.ErrLost)
	}
	sink := openAs(t, client, name)
	at, err := sink.Checkpoint(t.Context(), tallies.Generation(), log.id)
	require.NoError(t, err)
	require.Equal(t, log.head(), at.Position())
	require.NoError(t, log.agrees(t.Context(), sink))
}

// info returns what INFO says, by name.
func info(t *testing.T, server *testservers.Redis, sections ...string) map[string]string {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	all := map[string]string{}
	for line := range strings.Lines(client.Info(t.Context(), sections...).Val()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		all[name] = value
	}
	return all
}

func TestTortureFailoverOfACluster(t *testing.T) {
	for round := range 2 * eventstoretest.Scale {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			cluster, err := testservers.StartRedisCluster(t.Context(), testservers.RedisClusterOptions{Replicas: true})
			orSkip(t, err)
			t.Cleanup(func() { require.NoError(t, cluster.Stop(context.Background())) })
			failover(t, connectCluster(t, cluster, redis.ClusterOptions{}), cluster.Masters)
		})
	}
}

// Each round ends its Sentinel: it would make a server that starts later on the port of its
// dead master a replica, and so empty it.
func TestTortureFailoverBySentinel(t *testing.T) {
	for round := range 3 * eventstoretest.Scale {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			master := start(t, testservers.RedisOptions{})
			replica, err := master.Replica(t.Context(), testservers.RedisOptions{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, replica.Stop(context.Background())) })
			sentinel, err := master.Sentinel(t.Context(), 1, testservers.RedisOptions{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, sentinel.Stop(context.Background())) })
			client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: testservers.SentinelMaster, SentinelAddrs: []string{sentinel.Addr()}})
			t.Cleanup(func() { require.NoError(t, client.Close()) })
			failover(t, client, []*testservers.Redis{master})
		})
	}
}
