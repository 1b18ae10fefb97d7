package redisstore_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
)

func TestAServerThatEvictsIsRefusedAndTheErrorSaysWhatToDo(t *testing.T) {
	server := start(t, testservers.RedisOptions{Settings: map[string]string{"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}})
	client := connectTo(t, server)
	_, err := redisstore.Open(t.Context(), client, redisstore.Options{Logger: silent})
	require.ErrorIs(t, err, redisstore.ErrUnsuitable)
	require.ErrorContains(t, err, server.Addr())
	require.ErrorContains(t, err, "set it to noeviction")

	require.NoError(t, client.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err())
	_, err = redisstore.Open(t.Context(), client, redisstore.Options{Logger: silent})
	require.NoError(t, err)
}

// Managed services forbid CONFIG.
func TestTheServerIsCheckedWithoutCONFIG(t *testing.T) {
	client := connectTo(t, start(t, testservers.RedisOptions{Settings: map[string]string{"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}}))
	require.NoError(t, client.Do(t.Context(), "ACL", "SETUSER", "app", "on", "nopass", "~*", "+@all", "-config").Err())
	app := redis.NewClient(&redis.Options{Addr: client.Options().Addr, Username: "app", Password: "any"})
	t.Cleanup(func() { require.NoError(t, app.Close()) })
	_, err := redisstore.Open(t.Context(), app, redisstore.Options{Logger: silent})
	require.ErrorIs(t, err, redisstore.ErrUnsuitable)
}

func TestAServerWithoutAnAppendOnlyFileIsWarnedOf(t *testing.T) {
	for keeps, warns := range map[bool]bool{true: false, false: true} {
		var log bytes.Buffer
		client := connectTo(t, start(t, testservers.RedisOptions{AppendOnly: keeps}))
		_, err := redisstore.Open(t.Context(), client, redisstore.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		require.Equal(t, warns, bytes.Contains(log.Bytes(), []byte("level=WARN")), log.String())
	}
}

func TestARingIsRefused(t *testing.T) {
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}})
	t.Cleanup(func() { require.NoError(t, ring.Close()) })
	_, err := redisstore.Open(t.Context(), ring, redisstore.Options{})
	require.ErrorIs(t, err, redisstore.ErrUnsuitable)
}

func TestAPrefixHoldsNoBraces(t *testing.T) {
	_, err := redisstore.Open(t.Context(), connect(t), redisstore.Options{Prefix: "{shop}"})
	require.ErrorContains(t, err, "{shop}")
}

// Readers may look at a replica: its rows and its checkpoint are of one moment. A projection
// may not write there, and is told so.
func TestAReplicaAnswersReadersAndTakesNoWrites(t *testing.T) {
	master := start(t, testservers.RedisOptions{})
	replica, err := master.Replica(t.Context(), testservers.RedisOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, replica.Stop(context.Background())) })
	options := redisstore.Options{Logger: silent}
	client := connectTo(t, master)
	there, err := redisstore.Open(t.Context(), client, options)
	require.NoError(t, err)
	here, err := redisstore.Open(t.Context(), connectTo(t, replica), options)
	require.NoError(t, err)

	log := newLog(t)
	log.happen(t, 20)
	require.NoError(t, log.runner(there).CatchUp(t.Context()))
	require.NoError(t, client.Do(t.Context(), "WAIT", 1, 10_000).Err())
	require.NoError(t, log.agrees(t.Context(), here))

	require.ErrorContains(t, log.runner(here).CatchUp(t.Context()), "connect it to the master")
	_, err = projection.NewReader(here, tallies).Get(t.Context(), "none")
	require.ErrorIs(t, err, projection.ErrNotFound)
}

// opening opens a generation after a question about it has been answered.
type opening struct {
	before
	open func()
}

func (o opening) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if redis.HasErrorPrefix(err, "ABSENT ") {
			o.open()
		}
		return err
	}
}

func TestAGenerationThatIsBeingOpenedIsNotCalledLost(t *testing.T) {
	client := connectTo(t, start(t, testservers.RedisOptions{}))
	sink, log := open(t, client), newLog(t)
	client.AddHook(opening{open: func() { require.NoError(t, log.runner(sink).CatchUp(t.Context())) }})
	parked, err := sink.Parked(t.Context(), tallies.Generation(), log.id)
	require.NoError(t, err)
	require.Empty(t, parked)
}
