package redisstore_test

import (
	"context"
	"maps"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/checkup"
	"github.com/leftfold/leftfold/internal/testservers"
)

func examined(t *testing.T, client redis.UniversalClient) map[string]checkup.Finding {
	t.Helper()
	all := map[string]checkup.Finding{}
	for _, f := range redisstore.Examine(t.Context(), client) {
		all[f.Check] = f
		assert.Equal(t, f.Level == checkup.OK, f.Advice == "", "%+v: what to do is told, if anything is to be done", f)
	}
	return all
}

func TestWhatIsWrongWithAServerIsFound(t *testing.T) {
	t.Parallel()
	server := start(t, testservers.RedisOptions{AppendOnly: true, Settings: map[string]string{"maxmemory": "100mb"}})
	client := connectTo(t, server)
	for check, f := range examined(t, client) {
		assert.Equal(t, checkup.OK, f.Level, "%s: %s", check, f.Says)
	}
	set := func(setting, value string) { require.NoError(t, client.ConfigSet(t.Context(), setting, value).Err()) }
	for _, c := range []struct {
		setting, value, check string
		level                 checkup.Level
	}{
		{"maxmemory-policy", "allkeys-lru", "eviction", checkup.Failed},
		{"maxmemory", "0", "eviction", checkup.Warning},
		{"maxmemory-policy", "noeviction", "eviction", checkup.OK},
		{"appendonly", "no", "persistence", checkup.Warning},
		{"min-replicas-to-write", "1", "replicas in step", checkup.Failed},
		{"min-replicas-to-write", "0", "replicas in step", checkup.OK},
		{"maxmemory", "1mb", "memory", checkup.Warning},
		{"maxmemory", "0", "memory", checkup.OK},
	} {
		set(c.setting, c.value)
		found := examined(t, client)[c.check]
		assert.Equal(t, c.level, found.Level, "%s %s: %s", c.setting, c.value, found.Says)
	}
	require.NoError(t, client.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err())
	found := examined(t, client)["role"]
	assert.Equal(t, checkup.Failed, found.Level)
	assert.Contains(t, found.Advice, "127.0.0.1:1")

	require.NoError(t, client.Do(t.Context(), "ACL", "SETUSER", "app", "on", "nopass", "~*", "+@all", "-time").Err())
	app := redis.NewClient(&redis.Options{Addr: server.Addr(), Username: "app", Password: "any"})
	t.Cleanup(func() { require.NoError(t, app.Close()) })
	assert.Equal(t, checkup.Unknown, examined(t, app)["clock"].Level, "it may not ask for the time")

	require.NoError(t, server.Kill(t.Context()))
	all := examined(t, client)
	assert.Len(t, all, 1)
	assert.Equal(t, checkup.Failed, all["connection"].Level)
}

func TestEachMasterOfAClusterIsExamined(t *testing.T) {
	cluster, err := sharedCluster()
	orSkip(t, err)
	client := connectCluster(t, cluster, redis.ClusterOptions{})
	found := examined(t, client)
	assert.Equal(t, checkup.OK, found["cluster"].Level, found["cluster"].Says)
	for _, master := range cluster.Masters {
		assert.Contains(t, found, master.Addr()+" eviction", "%v", maps.Keys(found))
	}

	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}})
	t.Cleanup(func() { require.NoError(t, ring.Close()) })
	assert.Equal(t, checkup.Failed, examined(t, ring)["client"].Level)
}

func TestTortureAClusterThatHasLostAMasterIsFound(t *testing.T) {
	cluster, err := testservers.StartRedisCluster(t.Context(), testservers.RedisClusterOptions{})
	orSkip(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Stop(context.Background())) })
	client := connectCluster(t, cluster, redis.ClusterOptions{MaxRetries: -1})
	require.NoError(t, client.Ping(t.Context()).Err())
	require.NoError(t, cluster.Masters[0].Kill(t.Context()))
	found := redisstore.Examine(t.Context(), client)
	assert.Equal(t, checkup.Failed, checkup.Worst(found), "%v", found)
}
