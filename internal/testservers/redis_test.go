package testservers_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/testservers"
)

func redis(t *testing.T, options testservers.RedisOptions) *testservers.Redis {
	t.Helper()
	server, err := testservers.StartRedis(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, server.Stop(context.Background())) })
	return server
}

// ask sends one inline command over TCP and returns the last line of a short answer.
func ask(t *testing.T, server *testservers.Redis, command string) string {
	t.Helper()
	answer, err := tryAsk(t.Context(), server, command)
	require.NoError(t, err)
	return answer
}

func tryAsk(ctx context.Context, server *testservers.Redis, command string) (string, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", server.Addr())
	if err != nil {
		return "", err
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s\r\n", command)
	lines := bufio.NewScanner(conn)
	if lines.Scan() && strings.HasPrefix(lines.Text(), "$") && lines.Text() != "$-1" {
		lines.Scan()
	}
	return lines.Text(), lines.Err()
}

// requireWrites waits until the server takes writes. It may hang up on us when it is promoted.
func requireWrites(t *testing.T, server *testservers.Redis, key string) {
	t.Helper()
	require.Eventually(t, func() bool {
		answer, err := tryAsk(t.Context(), server, "SET "+key+" v")
		return err == nil && answer == "+OK"
	}, waitLimit, tick)
}

func TestAKilledRedisKeepsItsDataOnlyIfItHasALog(t *testing.T) {
	t.Parallel()
	for _, keeps := range []bool{true, false} {
		server := redis(t, testservers.RedisOptions{AppendOnly: keeps, Settings: map[string]string{"appendfsync": "always"}})
		assert.Equal(t, "redis://"+server.Addr()+"/0", server.URL())
		require.Equal(t, "+OK", ask(t, server, "SET k v"))
		require.NoError(t, server.Kill(t.Context()))
		require.NoError(t, server.Start(t.Context()))
		want := "$-1"
		if keeps {
			want = "v"
		}
		assert.Equal(t, want, ask(t, server, "GET k"))
	}
}

func TestARedisReplicaFollows(t *testing.T) {
	t.Parallel()
	primary := redis(t, testservers.RedisOptions{})
	require.Equal(t, "+OK", ask(t, primary, "SET k v"))
	replica, err := primary.Replica(t.Context(), testservers.RedisOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, replica.Stop(context.Background())) })
	assert.Equal(t, "v", ask(t, replica, "GET k"))
	assert.Contains(t, ask(t, replica, "SET k w"), "READONLY")
}

func TestARedisThatCannotStartSaysWhyAndLeavesNothing(t *testing.T) {
	t.Parallel()
	parent := shortDir(t)
	_, err := testservers.StartRedis(t.Context(), testservers.RedisOptions{Dir: parent, Settings: map[string]string{"maxmemory": "lots"}})
	require.ErrorContains(t, err, "maxmemory lots")
	assert.Empty(t, entries(t, parent))
}

func TestARedisClusterSharesTheSlotsAndReplacesAMasterThatIsGone(t *testing.T) {
	t.Parallel()
	cluster, err := testservers.StartRedisCluster(t.Context(), testservers.RedisClusterOptions{Replicas: true})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop(context.Background())) })
	require.Len(t, cluster.Addrs(), 6)
	// The slots of a, b and c are 15495, 3300 and 7365.
	for key, master := range map[string]int{"b": 0, "c": 1, "a": 2} {
		assert.Equal(t, "+OK", ask(t, cluster.Masters[master], "SET "+key+" v"))
	}
	assert.Contains(t, ask(t, cluster.Masters[0], "GET a"), "MOVED 15495 "+cluster.Masters[2].Addr())

	require.NoError(t, cluster.Masters[2].Kill(t.Context()))
	requireWrites(t, cluster.Replicas[2], "a")
}

func TestASentinelPromotesTheReplica(t *testing.T) {
	t.Parallel()
	master := redis(t, testservers.RedisOptions{})
	replica, err := master.Replica(t.Context(), testservers.RedisOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, replica.Stop(context.Background())) })
	sentinel, err := master.Sentinel(t.Context(), 1, testservers.RedisOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, sentinel.Stop(context.Background())) })

	require.NoError(t, master.Kill(t.Context()))
	requireWrites(t, replica, "k")
}
