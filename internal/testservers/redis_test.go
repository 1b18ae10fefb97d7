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
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", server.Addr())
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprintf(conn, "%s\r\n", command)
	lines := bufio.NewScanner(conn)
	require.True(t, lines.Scan())
	if strings.HasPrefix(lines.Text(), "$") && lines.Text() != "$-1" {
		require.True(t, lines.Scan())
	}
	return lines.Text()
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
