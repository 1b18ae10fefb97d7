package eventstore_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

// Stores remember command ids for ever: these values must never change. They were
// checked against an implementation in another language.
func TestCommandIDsAreFrozen(t *testing.T) {
	require.Equal(t, "3c9d591045bc8876f9d0399bbfb05c6a", eventstore.NewCommandID("a", "b").String())
	require.Equal(t, "5e0e117d7f56b95ceab547e485768482",
		eventstore.CommandID(eventstore.HashCommand("place", []byte("x"))).String())
	require.Equal(t, "c4680f47e27e5247f64a3ef8b7aacb46",
		eventstore.DeriveCommandID("alice", "c1", []string{"b-1", "a-1"}, 0).String())
	require.Equal(t, "cf492403bf4bb1555292146cf29f3569",
		eventstore.DeriveCommandID("alice", "c1", []string{"a-1"}, 1).String())
}

func TestNoTwoListsOfPartsShareAnID(t *testing.T) {
	seen := map[eventstore.CommandID][]string{}
	for _, parts := range [][]string{
		nil, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"b", "a"}, {"ab", ""}, {"", "ab"}, {"a\x00b"}, {"a", "\x00b"},
	} {
		id := eventstore.NewCommandID(parts...)
		require.NotContains(t, seen, id, "%q and %q", parts, seen[id])
		seen[id] = parts
	}
}

func TestEveryPartOfAnAppendIDCounts(t *testing.T) {
	base := eventstore.DeriveCommandID("alice", "c1", []string{"a-1", "b-1"}, 0)
	require.Equal(t, base, eventstore.DeriveCommandID("alice", "c1", []string{"b-1", "a-1"}, 0), "the boundary's order does not count")
	for what, other := range map[string]eventstore.CommandID{
		"principal": eventstore.DeriveCommandID("bob", "c1", []string{"a-1", "b-1"}, 0),
		"id":        eventstore.DeriveCommandID("alice", "c2", []string{"a-1", "b-1"}, 0),
		"boundary":  eventstore.DeriveCommandID("alice", "c1", []string{"a-1"}, 0),
		"count":     eventstore.DeriveCommandID("alice", "c1", []string{"a-1", "b-1"}, 1),
	} {
		require.NotEqual(t, base, other, what)
	}
}

func TestNextCommandCountsByBoundary(t *testing.T) {
	hash := eventstore.HashCommand("transfer", nil)
	ctx := eventstore.WithCommand(t.Context(), "alice", "c1", hash)
	derived := func(nth int, boundary ...string) eventstore.Command {
		return eventstore.Command{ID: eventstore.DeriveCommandID("alice", "c1", boundary, nth), Hash: hash}
	}
	require.Equal(t, derived(0, "a-1"), eventstore.NextCommand(ctx, "a-1"))
	require.Equal(t, derived(1, "a-1"), eventstore.NextCommand(ctx, "a-1"))
	require.Equal(t, derived(0, "b-1"), eventstore.NextCommand(ctx, "b-1"))
	require.Equal(t, derived(0, "a-1", "b-1"), eventstore.NextCommand(ctx, "a-1", "b-1"))
	require.Equal(t, derived(1, "a-1", "b-1"), eventstore.NextCommand(ctx, "b-1", "a-1"))

	retry := eventstore.WithCommand(t.Context(), "alice", "c1", hash)
	require.Equal(t, derived(0, "a-1"), eventstore.NextCommand(retry, "a-1"), "a retry starts counting again")
	require.Zero(t, eventstore.NextCommand(t.Context(), "a-1"), "no command in the context")
}

func TestNextCommandNeverGivesAnIDTwice(t *testing.T) {
	ctx := eventstore.WithCommand(t.Context(), "alice", "c1", eventstore.CommandHash{})
	var seen sync.Map
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 100 {
				if _, twice := seen.LoadOrStore(eventstore.NextCommand(ctx, "a-1").ID, true); twice {
					t.Error("an id was given twice")
				}
			}
		})
	}
	callers.Wait()
}

func TestHashMismatchNeedsTwoHashes(t *testing.T) {
	one, two, zero := eventstore.HashCommand("a", nil), eventstore.HashCommand("b", nil), eventstore.CommandHash{}
	require.True(t, one.Mismatches(two))
	require.False(t, one.Mismatches(one))
	require.False(t, one.Mismatches(zero))
	require.False(t, zero.Mismatches(one))
}
