// Package consumertest has the tests that every [consumer.LeaseStore] and every
// [consumer.Target] passes.
package consumertest

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/leftfold/leftfold/adapters/kinesisstore/consumer"
)

// RunLeases runs the tests of a lease store. open returns an empty one for each.
func RunLeases(t *testing.T, open func(t *testing.T) consumer.LeaseStore) {
	for _, clause := range []struct {
		name string
		run  func(t *testing.T, store consumer.LeaseStore)
	}{
		{"what was written is listed", leasesAreListed},
		{"a lease is written only as the successor of what is stored", leasesAreCompared},
		{"of writers at one moment one wins", oneWriterWins},
		{"a lease is removed only as it is stored", leasesAreRemoved},
	} {
		t.Run(clause.name, func(t *testing.T) {
			t.Parallel()
			clause.run(t, open(t))
		})
	}
}

func leasesAreListed(t *testing.T, store consumer.LeaseStore) {
	list(t, store)
	a := consumer.Lease{Shard: "a", Owner: "one", Counter: 1}
	b := consumer.Lease{Shard: "b", Owner: "two", Wanted: "one", Counter: 1}
	write(t, store, a)
	write(t, store, b)
	list(t, store, a, b)
	b.Owner, b.Counter = "", 2
	write(t, store, b)
	list(t, store, a, b)
}

func leasesAreCompared(t *testing.T, store consumer.LeaseStore) {
	stored := consumer.Lease{Shard: "a", Owner: "one", Counter: 1}
	lost(t, "a lease that is not there", store.Write(t.Context(), consumer.Lease{Shard: "a", Owner: "one", Counter: 2}))
	list(t, store)
	write(t, store, stored)
	for _, counter := range []int64{1, 3} { // behind, and ahead
		lost(t, "another counter", store.Write(t.Context(), consumer.Lease{Shard: "a", Owner: "two", Counter: counter}))
	}
	list(t, store, stored)
}

func oneWriterWins(t *testing.T, store consumer.LeaseStore) {
	const rounds, writers = 5, 4
	for round := range int64(rounds) {
		won := atomic.Int64{}
		var all sync.WaitGroup
		for range writers {
			all.Go(func() {
				switch err := store.Write(t.Context(), consumer.Lease{Shard: "a", Owner: "one", Counter: round + 1}); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, consumer.ErrLost):
					t.Errorf("write: %v", err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 {
			t.Fatalf("round %d: %d writers have won", round, won.Load())
		}
	}
}

func leasesAreRemoved(t *testing.T, store consumer.LeaseStore) {
	stored := consumer.Lease{Shard: "a", Owner: "one", Counter: 1}
	lost(t, "remove what is not there", store.Remove(t.Context(), stored))
	write(t, store, stored)
	lost(t, "remove an older one", store.Remove(t.Context(), consumer.Lease{Shard: "a", Counter: 0}))
	list(t, store, stored)
	if err := store.Remove(t.Context(), stored); err != nil {
		t.Fatalf("remove: %v", err)
	}
	list(t, store)
	write(t, store, stored)
}

func write(t *testing.T, store consumer.LeaseStore, lease consumer.Lease) {
	t.Helper()
	if err := store.Write(t.Context(), lease); err != nil {
		t.Fatalf("write %+v: %v", lease, err)
	}
}

func list(t *testing.T, store consumer.LeaseStore, want ...consumer.Lease) {
	t.Helper()
	got, err := store.List(t.Context())
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	slices.SortFunc(got, func(a, b consumer.Lease) int { return strings.Compare(a.Shard, b.Shard) })
	if !slices.Equal(got, want) {
		t.Fatalf("listed %+v, want %+v", got, want)
	}
}

func lost(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, consumer.ErrLost) {
		t.Fatalf("%s: %v, want ErrLost", what, err)
	}
}
