package testservers_test

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/testservers"
)

// Starting tries another port if a server's words say that its own is taken.
func TestAServerWhosePortIsTakenSaysSoInTheWordsThatWeLookFor(t *testing.T) {
	t.Parallel()
	bouncer, _ := pgBouncer(t, testservers.PgBouncerOptions{})
	server, cache := postgres(t, nil), redis(t, testservers.RedisOptions{})
	for _, s := range []struct {
		name, addr  string
		stop, start func(context.Context) error
	}{
		{"Postgres", server.Addr(), server.StopImmediate, server.Start},
		{"Redis", cache.Addr(), cache.Kill, cache.Start},
		{"PgBouncer", bouncer.Addr(), bouncer.Kill, bouncer.Start},
	} {
		require.NoError(t, s.stop(t.Context()), s.name)
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", s.addr)
		require.NoError(t, err, s.name)
		err = s.start(t.Context())
		require.Error(t, err, s.name)
		assert.True(t, testservers.PortIsTaken(err), "%s: %v", s.name, err)
		require.NoError(t, listener.Close())
		require.NoError(t, s.start(t.Context()), s.name)
	}
}

func TestAnotherPortIsTriedIfTheFirstIsTaken(t *testing.T) {
	t.Parallel()
	taken := &net.AddrError{Err: "bind: Address already in use"}
	var tried []int
	require.NoError(t, testservers.OnFreePort(func(port int) error {
		tried = append(tried, port)
		if len(tried) == 1 {
			return taken
		}
		return nil
	}))
	assert.Len(t, tried, 2)
	assert.ErrorIs(t, testservers.OnFreePort(func(int) error { return net.ErrClosed }), net.ErrClosed, "another error is final")
}
