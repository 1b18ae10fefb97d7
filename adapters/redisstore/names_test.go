package redisstore_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/testservers"
)

// opens opens read models under names, and returns them sorted.
func opens(t *testing.T, sink *redisstore.Sink) (names []string) {
	t.Helper()
	for n := range 20 {
		model := numbers
		model.Name = fmt.Sprintf("view_%02d", n)
		names = append(names, model.Name)
		require.NoError(t, sink.Open(t.Context(), model, eventstore.Identity{Store: eventstore.StoreID{1}, Incarnation: 1}))
	}
	return names
}

// one page of a scan is not all of it, and one server of a cluster is not either: what a sink that forgot either
// would find is looked at too.
func TestNamesAreFoundAmongAllKeysOfOthers(t *testing.T) {
	t.Parallel()
	client := connectTo(t, start(t, testservers.RedisOptions{}))
	_, err := client.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for n := range 20_000 {
			p.Set(t.Context(), fmt.Sprintf("session:{%d}:generations", n), "of another program", 0)
		}
		return nil
	})
	require.NoError(t, err)
	const prefix = `shop*[1]?\`
	names := opens(t, openAs(t, client, prefix))
	opens(t, openAs(t, client, `shopper[1]x\`)) // which the pattern of the prefix, unquoted, would find
	other := openAs(t, client, prefix)          // of another process
	found, err := other.Names(t.Context())
	require.NoError(t, err)
	require.Equal(t, names, found)

	first, _, err := client.Scan(t.Context(), 0, "*:{view_*}:generations", 1000).Result()
	require.NoError(t, err)
	require.Less(t, len(first), len(names), "a page has them all: the test sees nothing")

	none, err := openAs(t, client, "nobody").Names(t.Context())
	require.NoError(t, err)
	require.Empty(t, none)
}

func TestNamesAreFoundOnAllMastersOfACluster(t *testing.T) {
	cluster, err := sharedCluster()
	orSkip(t, err)
	client := connectCluster(t, cluster, redis.ClusterOptions{ReadOnly: true, RouteRandomly: true})
	sink := open(t, client)
	names := opens(t, sink)
	found, err := sink.Names(t.Context())
	require.NoError(t, err)
	require.Equal(t, names, found)

	var on []int
	for _, master := range cluster.Masters {
		keys, err := connectTo(t, master).Keys(t.Context(), "*:{view_*}:generations").Result()
		require.NoError(t, err)
		on = append(on, len(keys))
	}
	require.Less(t, slices.Max(on), len(names), "one master has them all: the test sees nothing")
}
