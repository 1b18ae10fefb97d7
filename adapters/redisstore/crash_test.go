package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
)

// killed runs a projection into a server that is killed with SIGKILL again and again, and
// returns the first kill after which rows and checkpoint were not of one moment. With torn,
// the end of the server's log is lost each time, as by a power failure.
func killed(t *testing.T, fsync string, torn bool, kills int, wrap func(projection.Sink) projection.Sink) error {
	t.Helper()
	server := start(t, testservers.RedisOptions{AppendOnly: true, Settings: map[string]string{"appendfsync": fsync}})
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), MaxRetries: -1})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	name, underWay := prefix(), 0
	directory := client.ConfigGet(t.Context(), "dir").Val()["dir"]
	log := newLog(t)
	for kill := range kills {
		const events = 1500
		log.happen(t, events)
		sink := &struck{Sink: wrap(openAs(t, client, name)), now: make(chan struct{})} // in a process of its own, as it were
		sink.left.Store(1 + rand.Int64N(events/window))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- log.runner(sink).CatchUp(ctx) }()
		select {
		case <-sink.now:
		case err := <-ended:
			stop()
			return fmt.Errorf("before kill %d: the run ended: %v", kill+1, err)
		}
		require.NoError(t, server.Kill(t.Context()))
		stop()
		<-ended
		if torn {
			require.NoError(t, tear(directory))
		}
		require.NoError(t, server.Start(t.Context()))
		if at, err := openAs(t, client, name).Checkpoint(t.Context(), tallies.Generation(), log.id); err == nil && 0 < at.Position() && at.Position() < log.head() {
			underWay++
		}
		if err := log.agrees(t.Context(), openAs(t, client, name)); err != nil && !errors.Is(err, projection.ErrNotBuilt) {
			return fmt.Errorf("after kill %d: %w", kill+1, err)
		}
	}
	sink := openAs(t, client, name)
	if err := log.runner(sink).CatchUp(t.Context()); err != nil {
		return err
	}
	at, err := sink.Checkpoint(t.Context(), tallies.Generation(), log.id)
	require.NoError(t, err)
	require.Equal(t, log.head(), at.Position())
	require.Positive(t, underWay, "no kill came while the projection was under way")
	require.Equal(t, torn, strings.Contains(server.Log(), "short read while loading the AOF"), "an entry of the log was cut in two")
	return log.agrees(t.Context(), sink)
}

// struck is a sink whose server is to be killed while a commit is under way.
type struck struct {
	projection.Sink

	left atomic.Int64  // commits until then
	now  chan struct{} // closed when it is under way
}

func (s *struck) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if s.left.Add(-1) == 0 {
		close(s.now)
	}
	return s.Sink.Commit(ctx, model, move, changes)
}

// tear cuts up to 8 KiB off the log of a server that does not run.
func tear(directory string) error {
	return filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".aof" {
			return err
		}
		info, err := entry.Info()
		if err != nil || info.Size() == 0 || filepath.Ext(filepath.Base(path[:len(path)-len(".aof")])) != ".incr" {
			return err
		}
		return os.Truncate(path, info.Size()-rand.Int64N(min(info.Size(), 8<<10)+1))
	})
}

func TestTortureAKilledServerLosesNothingAndRepeatsNothing(t *testing.T) {
	for _, fsync := range []string{"always", "everysec"} {
		for _, torn := range []bool{false, true} {
			t.Run(fmt.Sprintf("appendfsync %s, torn %v", fsync, torn), func(t *testing.T) {
				require.NoError(t, killed(t, fsync, torn, 13*eventstoretest.Scale, func(sink projection.Sink) projection.Sink { return sink }))
			})
		}
	}
}

// A mutant moves the checkpoint in one call and writes rows in others, as a sink would
// without the script. Kills between the calls must show.
type mutant struct {
	projection.Sink
	commit func(sink projection.Sink, ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error
}

func (m mutant) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	return m.commit(m.Sink, ctx, model, move, changes)
}

var mutants = map[string]mutant{
	"the checkpoint first, in a call of its own": {commit: func(sink projection.Sink, ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
		if err := sink.Commit(ctx, model, move, nil); err != nil {
			return err
		}
		return sink.Commit(ctx, model, projection.Move{From: move.To, To: move.To}, changes)
	}},
	"rows one by one, then the checkpoint": {commit: func(sink projection.Sink, ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
		for n := range changes {
			if err := sink.Commit(ctx, model, projection.Move{From: move.From, To: move.From}, changes[n:n+1]); err != nil {
				return err
			}
		}
		return sink.Commit(ctx, model, move, nil)
	}},
}

func TestTortureMutantsDoNotSurviveKills(t *testing.T) {
	for name, mutant := range mutants {
		t.Run(name, func(t *testing.T) {
			err := killed(t, "everysec", false, 100, func(sink projection.Sink) projection.Sink {
				mutant.Sink = sink
				return mutant
			})
			require.ErrorContains(t, err, "after kill")
			t.Log("caught: ", err)
		})
	}
}

// cutting is a connection that breaks after some bytes, in either direction.
type cutting struct {
	net.Conn
	left *atomic.Int64
}

func (c cutting) Write(p []byte) (int, error) {
	if c.left.Add(-int64(len(p))) < 0 {
		p = p[:rand.IntN(len(p)+1)]
		n, _ := c.Conn.Write(p)
		return n, errors.Join(net.ErrClosed, c.Conn.Close())
	}
	return c.Conn.Write(p)
}

func (c cutting) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.left.Add(-int64(n)) < 0 {
		return 0, errors.Join(net.ErrClosed, c.Conn.Close())
	}
	return n, err
}

// The client tries again by itself: a commit whose answer was lost is then stale.
func TestConnectionsThatBreakAtAnyByteLoseNothingAndRepeatNothing(t *testing.T) {
	server, err := testservers.SharedRedis()
	orSkip(t, err)
	var dials atomic.Int64
	client := redis.NewClient(&redis.Options{
		Addr: server.Addr(), MinRetryBackoff: -1, MaxRetryBackoff: -1,
		Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
			left := &atomic.Int64{}
			left.Store(1000 + rand.Int64N(10_000)) // a handshake gets through
			dials.Add(1)
			return cutting{conn, left}, err
		},
	})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	name := prefix()
	var sink *redisstore.Sink
	for err = errors.New("not opened"); err != nil; {
		sink, err = redisstore.Open(t.Context(), client, redisstore.Options{Prefix: name, Logger: silent})
	}
	log := newLog(t)
	log.happen(t, 3000)
	for err := errors.New("not started"); err != nil; {
		err = log.runner(sink).CatchUp(t.Context())
	}
	require.NoError(t, log.agrees(t.Context(), openAs(t, connectTo(t, server), name)))
	t.Logf("%d connections", dials.Load())
}
