package aggregate_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

func TestAHitIsAnAppendWithoutARead(t *testing.T) {
	store := &counting{Store: memory.NewStore()}
	ledgers := aggregate.NewRepository(store, Ledgers).WithCache(aggregate.CacheOptions{})
	enterAll(t, ledgers, "1", 1)
	store.events, store.heads = 0, 0
	enterAll(t, ledgers, "1", 10)
	assert.Zero(t, store.events+store.heads)
	require.NoError(t, checkLedgers(t.Context(), store))
}

func TestWithoutAnythingKeptALoadIsOneRead(t *testing.T) {
	store := &counting{Store: memory.NewStore()}
	ledgers := aggregate.NewRepository(store, Ledgers)
	enterAll(t, ledgers, "1", 3)
	assert.Equal(t, 0+1+2, store.events)
	assert.Zero(t, store.heads)
}

// A conflict costs what the other writer has appended, not the whole stream.
func TestAfterAConflictOnlyWhatIsNewIsRead(t *testing.T) {
	store := &counting{Store: memory.NewStore()}
	ledgers := aggregate.NewRepository(store, Ledgers).WithCache(aggregate.CacheOptions{})
	enterAll(t, ledgers, "1", 50)
	enterAll(t, aggregate.NewRepository(store.Store, Ledgers), "1", 2)
	store.events = 0
	enterAll(t, ledgers, "1", 1)
	assert.Equal(t, 3, store.events, "the last event of the kept state, and the two behind it")
	require.NoError(t, checkLedgers(t.Context(), store))
}

func TestARefusalIsMadeAgainOnTheNewestState(t *testing.T) {
	store := &counting{Store: memory.NewStore()}
	ledgers := aggregate.NewRepository(store, Ledgers).WithCache(aggregate.CacheOptions{})
	enterAll(t, ledgers, "1", 5)
	store.events = 0
	_, err := ledgers.Execute(t.Context(), "1", enter("me", -6))
	require.EqualError(t, err, "execute ledger-1: only 5 there")
	assert.Equal(t, 1, store.events, "one look, whether something is new")
	assert.Equal(t, 1, ledgers.Cached(), "the state is what the log has, so it is kept")

	enterAll(t, aggregate.NewRepository(store.Store, Ledgers), "1", 1)
	_, err = ledgers.Execute(t.Context(), "1", enter("me", -6))
	require.NoError(t, err)
	require.NoError(t, checkLedgers(t.Context(), store))
}

func TestADecisionWithoutEventsIsMadeAgainOnTheNewestState(t *testing.T) {
	for _, id := range []string{"", "x"} {
		store := memory.NewStore()
		ledgers := aggregate.NewRepository(store, Ledgers).WithCache(aggregate.CacheOptions{})
		enterAll(t, ledgers, "1", 5)
		enterAll(t, aggregate.NewRepository(store, Ledgers), "1", 2)
		var seen []int64
		receipt, err := ledgers.Execute(t.Context(), "1", func(l Ledger) ([]Entered, error) {
			seen = append(seen, l.Total)
			return nil, nil
		}, aggregate.CommandID(id))
		require.NoError(t, err)
		assert.Equal(t, []int64{5, 7}, seen)
		assert.EqualValues(t, 7, receipt.Versions["ledger-1"])
		assert.Equal(t, 1, ledgers.Cached())
	}
}

// Another program has moved the ledger, an hour ago. That is no conflict of this call.
func TestACallThatWantsTheFirstConflictGetsNoOldOne(t *testing.T) {
	store := memory.NewStore()
	ledgers := aggregate.NewRepository(store, Ledgers).WithCache(aggregate.CacheOptions{})
	enterAll(t, ledgers, "1", 1)
	enterAll(t, aggregate.NewRepository(store, Ledgers), "1", 1)
	_, err := ledgers.Execute(t.Context(), "1", enter("me", 1), aggregate.NoRetry())
	require.NoError(t, err)
	enterAll(t, aggregate.NewRepository(store, Ledgers), "1", 1)
	_, err = ledgers.Execute(t.Context(), "1", enter("me", 1), aggregate.ExpectVersion(4))
	require.NoError(t, err)
	_, err = ledgers.Execute(t.Context(), "1", enter("me", 1), aggregate.ExpectVersion(4))
	require.ErrorIs(t, err, eventstore.ErrVersionConflict)
	require.NoError(t, checkLedgers(t.Context(), store))
}

func TestARepeatGetsTheFirstReceiptWithACacheToo(t *testing.T) {
	store := memory.NewStore()
	ledgers := aggregate.NewRepository(store, Ledgers).WithCache(aggregate.CacheOptions{})
	enterAll(t, ledgers, "1", 5)
	first, err := ledgers.Execute(t.Context(), "1", enter("me", -5), aggregate.CommandID("w"))
	require.NoError(t, err)
	require.False(t, first.Repeated)
	for range 3 { // refused by now, on the kept state and on a loaded one
		again, err := ledgers.Execute(t.Context(), "1", enter("me", -5), aggregate.CommandID("w"))
		require.NoError(t, err)
		assert.True(t, again.Repeated)
		assert.Equal(t, first.Token, again.Token)
	}
	again, err := ledgers.Execute(t.Context(), "1", enter("me", 7), aggregate.CommandID("w"))
	require.NoError(t, err)
	assert.True(t, again.Repeated, "also of a decision that comes to other events now")
	enterAll(t, ledgers, "1", 1)
	require.NoError(t, checkLedgers(t.Context(), store))
}

func TestTheCacheHoldsSoManyStates(t *testing.T) {
	store := &counting{Store: memory.NewStore()}
	ledgers := aggregate.NewRepository(store, Ledgers).WithCache(aggregate.CacheOptions{States: 2})
	for _, id := range []string{"1", "2", "1", "3"} {
		enterAll(t, ledgers, id, 1)
	}
	assert.Equal(t, 2, ledgers.Cached())
	store.heads = 0
	enterAll(t, ledgers, "1", 1)
	assert.Zero(t, store.heads, "used later than 2, so it is still there")
	enterAll(t, ledgers, "2", 1)
	assert.Equal(t, 1, store.heads)
}

func TestADecisionThatPanicsLosesTheState(t *testing.T) {
	ledgers := aggregate.NewRepository(memory.NewStore(), Ledgers).WithCache(aggregate.CacheOptions{})
	enterAll(t, ledgers, "1", 1)
	require.Panics(t, func() {
		_, _ = ledgers.Execute(t.Context(), "1", func(Ledger) ([]Entered, error) { panic("no") })
	})
	assert.Zero(t, ledgers.Cached())
	enterAll(t, ledgers, "1", 1)
}

// Shared is a ledger with a Clone of its own, which is right or is not.
type Shared struct {
	Ledger
	secret []int64
	deep   bool
}

func (s Shared) Clone() Shared {
	if s.deep {
		s.secret = slices.Clone(s.secret)
	}
	return s
}

// A decision may do with its state what it likes. The twin whose Clone shares a slice is found.
func TestWhatADecisionDoesToItsStateIsForgotten(t *testing.T) {
	for _, deep := range []bool{true, false} {
		t.Run(fmt.Sprintf("a deep copy is %t", deep), func(t *testing.T) {
			typ := aggregate.Define("shared", func(e Entered, s *Shared) { s.secret, s.deep = append(s.secret, e.Add), deep },
				codec.Event[Entered]("shared.entered"))
			shared := aggregate.NewRepository(memory.NewStore(), typ).WithCache(aggregate.CacheOptions{})
			var seen [][]int64
			for range 3 {
				_, err := shared.Execute(t.Context(), "1", func(s Shared) ([]Entered, error) {
					seen = append(seen, slices.Clone(s.secret))
					for n := range s.secret {
						s.secret[n] = -1
					}
					return []Entered{{Add: 1}}, nil
				})
				require.NoError(t, err)
			}
			assert.Equal(t, deep, slices.Equal(seen[2], []int64{1, 1}))
		})
	}
}

func TestAStateThatCannotBeCopiedIsRefused(t *testing.T) {
	type hidden struct{ entries []int64 }
	typ := aggregate.Define("hidden", func(e Entered, h *hidden) { h.entries = append(h.entries, e.Add) }, codec.Event[Entered]("hidden.entered"))
	require.PanicsWithValue(t, `aggregate: the states of "hidden" cannot be kept in a cache: a state cannot be copied: give it a method Clone() aggregate_test.hidden, or mend that aggregate_test.hidden.entries is unexported, so it would be lost: export it`,
		func() { aggregate.NewRepository(memory.NewStore(), typ).WithCache(aggregate.CacheOptions{}) })

	type plain struct{ total int64 } // nothing to copy
	simple := aggregate.Define("plain", func(e Entered, p *plain) { p.total += e.Add }, codec.Event[Entered]("plain.entered"))
	require.NotPanics(t, func() { aggregate.NewRepository(memory.NewStore(), simple).WithCache(aggregate.CacheOptions{}) })
}

// What only shows in the value is met when it is copied: the command goes on without the cache.
func TestAStateWhoseCopyDiffersIsNotKept(t *testing.T) {
	store := memory.NewStore()
	var failed []error
	typ := aggregate.Define("ledger", func(e Entered, l *Ledger) { e.apply(l); l.By["\xff"] = 1 }, codec.Event[Entered]("ledger.entered"))
	ledgers := aggregate.NewRepository(store, typ).WithCache(aggregate.CacheOptions{Failed: func(_ eventstore.StreamID, err error) { failed = append(failed, err) }})
	enterAll(t, ledgers, "1", 5)
	assert.NotEmpty(t, failed)
	assert.ErrorContains(t, failed[0], "copy the state: the state does not come back")
	require.NoError(t, checkLedgers(t.Context(), store))
}

// The events are durable when the fold meets them for the first time.
func TestAFoldThatPanicsDoesNotHideAnAppend(t *testing.T) {
	typ := aggregate.Define("ledger", func(e Entered, l *Ledger) {
		if e.Add == 13 {
			panic("unlucky")
		}
		e.apply(l)
	}, codec.Event[Entered]("ledger.entered"))
	ledgers := aggregate.NewRepository(memory.NewStore(), typ).WithCache(aggregate.CacheOptions{})
	receipt, err := ledgers.Execute(t.Context(), "1", enter("me", 13))
	require.NoError(t, err)
	assert.EqualValues(t, 1, receipt.Versions["ledger-1"])
	assert.Zero(t, ledgers.Cached())
}
