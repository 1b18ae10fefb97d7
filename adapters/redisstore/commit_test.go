package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/redisstore"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
)

var numbers = projection.Model{
	Generation: projection.Generation{Name: "numbers", Version: 1},
	Columns: []projection.Column{
		{Name: "number", Kind: projection.Int}, {Name: "name", Kind: projection.Text}, {Name: "at", Kind: projection.Time},
	},
	Indexes: []string{"number", "name"},
	Hash:    "numbers",
}

func row(key string, number int64, name string) projection.Row {
	return projection.Row{Key: key, Values: []any{number, name, time.UnixMicro(number).UTC()}}
}

func put(rows ...projection.Row) []projection.Change {
	changes := make([]projection.Change, len(rows))
	for n, row := range rows {
		changes[n] = projection.Change{Row: row}
	}
	return changes
}

func remove(key string) projection.Change {
	return projection.Change{Row: projection.Row{Key: key}, Deleted: true}
}

// stand is a sink with the model numbers in it, and where its checkpoint stands.
type stand struct {
	projection.Sink
	at subscription.Checkpoint
}

func stands(t testing.TB, sink projection.Sink) *stand {
	t.Helper()
	source := eventstore.Identity{Store: eventstore.StoreID{1}, Incarnation: 1}
	require.NoError(t, sink.Open(t.Context(), numbers, source))
	at, err := sink.Checkpoint(t.Context(), numbers.Generation, source.Store)
	require.NoError(t, err)
	return &stand{sink, at}
}

func (s *stand) next() subscription.Checkpoint {
	to := s.at
	to.Anchor = eventstore.Anchor{Position: to.Anchor.Position + 1, EventID: eventstore.NewEventID()}
	return to
}

func (s *stand) commit(ctx context.Context, changes ...projection.Change) error {
	to := s.next()
	err := s.Commit(ctx, numbers, projection.Move{From: s.at, To: to}, changes)
	if err == nil {
		s.at = to
	}
	return err
}

// Redis does not undo what a failing script has written. So nothing may fail after the first
// write: whatever makes a commit fail, all three keys are what they were.
func TestACommitThatFailsChangesNothing(t *testing.T) {
	client := connectTo(t, start(t, testservers.RedisOptions{}))
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) { require.NoError(t, fault.harm(t, client)) })
	}
}

func TestMutantsOfTheCommitAreCaught(t *testing.T) {
	client := connectTo(t, start(t, testservers.RedisOptions{}))
	const move = "redis.call('HSET', meta, ARGV[2], ARGV[4])\n"
	for name, mutant := range map[string]struct{ bug, caught string }{
		"what may fail is not tried":         {strings.Replace(redisstore.CommitLua, "writable()\n", "", 1), "no right to zrem"},
		"the checkpoint is written last":     {strings.Replace(strings.Replace(redisstore.CommitLua, move, "", 1), "return redis.status_reply", move+"return redis.status_reply", 1), "no right to hset"},
		"the checkpoint is written too soon": {strings.Replace(redisstore.CommitLua, "local gone", move+"local gone", 1), "a stored row that is none"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NotEqual(t, redisstore.CommitLua, mutant.bug)
			defer redisstore.UseCommitLua(mutant.bug)()
			n := slices.IndexFunc(faults, func(f fault) bool { return f.name == mutant.caught })
			err := faults[n].harm(t, client)
			require.ErrorContains(t, err, "it has changed something")
			t.Log("caught: ", err)
		})
	}
}

// fault makes commits fail.
type fault struct {
	name   string
	happen []any // the command by which it does
	says   string
}

var numbersKeys = []string{"shop:{numbers}:1:meta", "shop:{numbers}:1:rows", "shop:{numbers}:1:order", "shop:{numbers}:generations"}

var faults = func() []fault {
	all := []fault{
		{"a stored row that is none", []any{"HSET", numbersKeys[1], "b", "\x93poison"}, "cannot be read"},
		{"a stored row that is a number", []any{"HSET", numbersKeys[1], "b", "\x01"}, ""},
		{"no memory left", []any{"CONFIG", "SET", "maxmemory", "1"}, "OOM"},
		{"too few replicas", []any{"CONFIG", "SET", "min-replicas-to-write", "1"}, "NOREPLICAS"},
	}
	for _, key := range numbersKeys {
		all = append(all, fault{"another type at " + key, []any{"EVAL", "redis.call('DEL', KEYS[1]) return redis.call('LPUSH', KEYS[1], 'x')", 1, key}, "WRONGTYPE"})
	}
	for _, command := range []string{"exists", "hexists", "hget", "hmget", "hset", "hdel", "zadd", "zrem"} {
		all = append(all, fault{"no right to " + command, []any{"ACL", "SETUSER", "app", "-" + command}, "can't run this command"})
	}
	return all
}()

// harm returns what a commit under the fault has changed, or that it did not fail.
func (f fault) harm(t *testing.T, client *redis.Client) error {
	t.Helper()
	do := func(args ...any) { require.NoError(t, client.Do(t.Context(), args...).Err()) }
	do("FLUSHALL")
	do("ACL", "SETUSER", "app", "reset", "on", "nopass", "~*", "&*", "+@all")
	app := redis.NewClient(&redis.Options{Addr: client.Options().Addr, Username: "app", Password: "any", MaxRetries: -1})
	defer app.Close()
	s := stands(t, openAs(t, app, "shop"))
	require.NoError(t, s.commit(t.Context(), put(row("a", 1, "x"), row("b", 2, "y"), row("c", 3, "z"))...))
	do(f.happen...)
	defer do("CONFIG", "SET", "maxmemory", "0", "min-replicas-to-write", "0")
	before := dump(t, client, numbersKeys)
	for what, changes := range map[string][]projection.Change{
		"writes":  put(row("a", 10, "xx"), row("b", 20, "yy"), row("d", 40, "ww")),
		"deletes": {remove("a"), remove("b")},
		"both":    append(put(row("a", 10, "xx"), row("d", 40, "ww")), remove("b")),
	} {
		err := s.commit(t.Context(), changes...)
		if after := dump(t, client, numbersKeys); !slices.Equal(before, after) {
			return fmt.Errorf("%s: it has changed something (%v)", what, err)
		}
		if err == nil || errors.Is(err, subscription.ErrStale) || !strings.Contains(err.Error(), f.says) {
			return fmt.Errorf("%s: got error %w, want one that says %q", what, err, f.says)
		}
	}
	return nil
}

func dump(t *testing.T, client *redis.Client, keys []string) (dumps []string) {
	t.Helper()
	for _, key := range keys {
		text, err := client.Dump(t.Context(), key).Result()
		if !errors.Is(err, redis.Nil) {
			require.NoError(t, err)
		}
		dumps = append(dumps, text)
	}
	return dumps
}

// Lua's numbers are floats: what went through one would be rounded.
func TestNumbersBeyond53BitsAreExact(t *testing.T) {
	s := stands(t, open(t, connect(t)))
	big := []int64{math.MinInt64, math.MinInt64 + 1, -1<<53 - 1, -1 << 53, 0, 1 << 53, 1<<53 + 1, 1<<53 + 2, math.MaxInt64 - 1, math.MaxInt64}
	var want []projection.Row
	for n, number := range big {
		want = append(want, row(fmt.Sprintf("k%d", n), number, "x"))
		want[n].Values[2] = time.UnixMicro(0).UTC()
	}
	shuffled := slices.Clone(want)
	rand.Shuffle(len(shuffled), func(a, b int) { shuffled[a], shuffled[b] = shuffled[b], shuffled[a] })
	require.NoError(t, s.commit(t.Context(), put(shuffled...)...))
	got, err := s.List(t.Context(), numbers, projection.ListQuery{By: "number", Limit: 100})
	require.NoError(t, err)
	require.Equal(t, want, got)

	to := s.next()
	to.Anchor.Position, to.Fence = 1<<53+1, math.MaxInt64-1
	require.NoError(t, s.Commit(t.Context(), numbers, projection.Move{From: s.at, To: to}, nil))
	near := to
	near.Anchor.Position--
	require.ErrorIs(t, s.Commit(t.Context(), numbers, projection.Move{From: near, To: to}, nil), subscription.ErrStale)
	near = to
	near.Fence++
	require.ErrorIs(t, s.Commit(t.Context(), numbers, projection.Move{From: near, To: to}, nil), subscription.ErrStale)
	at, err := s.Checkpoint(t.Context(), numbers.Generation, to.Source.Store)
	require.NoError(t, err)
	require.Equal(t, to, at)
}

// The sink in memory is the reference: whatever is committed, both have the same rows in
// every order, also where a commit is more than a script can pass to a command at once.
func TestTheSinkHasTheRowsOfTheOneInMemory(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	ours, reference := stands(t, open(t, connect(t))), stands(t, memory.NewSink())
	reference.at = ours.at
	for round, size := range []int{3, 1, 40, 5000, 3000, 7, 2500, 100, 0, 6000} {
		var changes []projection.Change
		for _, n := range random.Perm(8000)[:size] {
			change := projection.Change{Row: row(fmt.Sprintf("k%d", n), random.Int64N(50)-25, strings.Repeat("n", random.IntN(3))), Deleted: random.IntN(4) == 0}
			if change.Deleted {
				change.Values = nil
			}
			changes = append(changes, change)
		}
		to := ours.next()
		move := projection.Move{From: ours.at, To: to}
		require.NoError(t, ours.Commit(t.Context(), numbers, move, changes))
		require.NoError(t, reference.Commit(t.Context(), numbers, move, changes))
		ours.at = to
		for _, list := range []projection.ListQuery{{}, {By: "number"}, {By: "name", Descending: true}, {By: "number", After: &projection.Cursor{Value: int64(3), Key: "k5"}}} {
			list.Limit = math.MaxInt
			got, err := ours.List(t.Context(), numbers, list)
			require.NoError(t, err)
			want, err := reference.List(t.Context(), numbers, list)
			require.NoError(t, err)
			require.Len(t, got, len(want), "round %d, by %q", round, list.By)
			for n := range want {
				require.Equal(t, want[n], got[n], "round %d, by %q, row %d", round, list.By, n)
			}
		}
	}
}

// Each of two processes has a sink of its own.
func TestOfTwoSinksThatCommitFromOneCheckpointOneWins(t *testing.T) {
	client, other := connect(t), connect(t)
	options := redisstore.Options{Prefix: prefix(), Logger: silent}
	for round := range 200 {
		var wins atomic.Int32
		var racing sync.WaitGroup
		var rivals []*stand
		for _, client := range []*redis.Client{client, other} {
			sink, err := redisstore.Open(t.Context(), client, options)
			require.NoError(t, err)
			rivals = append(rivals, stands(t, sink))
		}
		for n, s := range rivals {
			racing.Go(func() {
				switch err := s.commit(t.Context(), put(row("a", int64(2*round+n), "x"))...); {
				case err == nil:
					wins.Add(1)
				case !errors.Is(err, subscription.ErrStale):
					t.Error(err)
				}
			})
		}
		racing.Wait()
		require.EqualValues(t, 1, wins.Load())
	}
}

// A server that was restarted, or another master, does not know our scripts.
func TestAScriptThatTheServerDoesNotKnowIsSentAgain(t *testing.T) {
	client := connectTo(t, start(t, testservers.RedisOptions{}))
	s := stands(t, open(t, client))
	for range 2 {
		require.NoError(t, client.ScriptFlush(t.Context()).Err())
		require.NoError(t, s.commit(t.Context(), put(row("a", 1, "x"))...))
	}
}

// A merge of segments takes one checkpoint away and writes another: without the right to write,
// both stay. Which field is changed first is up to a map, so it is tried more than once.
func TestAChangeOfLeasesThatFailsChangesNothing(t *testing.T) {
	client := connectTo(t, start(t, testservers.RedisOptions{}))
	for range 20 {
		require.NoError(t, client.FlushAll(t.Context()).Err())
		require.NoError(t, client.Do(t.Context(), "ACL", "SETUSER", "app", "reset", "on", "nopass", "~*", "&*", "+@all").Err())
		app := redis.NewClient(&redis.Options{Addr: client.Options().Addr, Username: "app", Password: "any", MaxRetries: -1})
		s := stands(t, openAs(t, app, "shop"))
		leases := s.Leases(numbers.Generation, s.at.Source.Store)
		worker := subscription.NewWorkerID("test")
		_, err := leases.Attend(t.Context(), worker, time.Minute, nil)
		require.NoError(t, err)
		held, err := leases.Acquire(t.Context(), worker, subscription.Whole, time.Minute)
		require.NoError(t, err)
		low, high, err := leases.Split(t.Context(), worker, held, 512)
		require.NoError(t, err)
		require.NoError(t, client.Do(t.Context(), "ACL", "SETUSER", "app", "-hset").Err())
		before := client.HGetAll(t.Context(), numbersKeys[0]).Val()
		_, err = leases.Merge(t.Context(), worker, low, high)
		require.ErrorContains(t, err, "can't run this command")
		require.Equal(t, before, client.HGetAll(t.Context(), numbersKeys[0]).Val())
		require.NoError(t, app.Close())
	}
}
