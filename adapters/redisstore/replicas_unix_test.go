//go:build unix

package redisstore_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/projection"
)

func TestAReplicaThatHangsIsPutAsideAndComesBack(t *testing.T) {
	f := sails(t, projection.ReplicasOptions{Every: 10 * time.Millisecond, Timeout: 200 * time.Millisecond, Logger: silent})
	f.arrives(t)
	require.NoError(t, syscall.Kill(f.servers[0].Pid(), syscall.SIGSTOP))
	f.asks(t, 3)
	f.becomes(t, 0, "it has not answered within 200ms")
	f.moves(t)
	f.asks(t, 3)
	require.NoError(t, syscall.Kill(f.servers[0].Pid(), syscall.SIGCONT))
	f.becomes(t, 0, "")
	f.isRead(t, 0)
}

func TestAMasterThatHangsPutsNoReplicaAside(t *testing.T) {
	f := sails(t, projection.ReplicasOptions{Every: 10 * time.Millisecond, Timeout: time.Second, Logger: silent})
	f.arrives(t)
	require.NoError(t, syscall.Kill(f.master.Pid(), syscall.SIGSTOP))
	for n := range f.servers {
		require.Eventually(t, func() bool { return f.Status().Replicas[n].Lag > 400*time.Millisecond }, 30*time.Second, time.Millisecond, "a probe without the master")
		require.NoError(t, f.Status().Replicas[n].Err)
	}
	f.asks(t, 4)
	require.NoError(t, syscall.Kill(f.master.Pid(), syscall.SIGCONT))
	f.moves(t)
	f.asks(t, 3)
}
