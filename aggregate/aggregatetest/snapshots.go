package aggregatetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
)

// RunSnapshotStore checks a store of snapshots against every clause of
// [aggregate.SnapshotStore]. Each call of open must return one without snapshots.
func RunSnapshotStore(t *testing.T, open func(t testing.TB) aggregate.SnapshotStore) {
	for _, c := range snapshotClauses {
		t.Run(c.rule, func(t *testing.T) {
			if err := c.check(t.Context(), open(t)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// snapshotClause is one rule as a sentence, and the check that a store obeys it. It returns what
// is wrong, so that a planted bug can be shown to be caught.
type snapshotClause struct {
	rule  string
	check func(ctx context.Context, store aggregate.SnapshotStore) error
}

var snapshotClauses = []snapshotClause{
	{"a key without a snapshot has none", noSnapshot},
	{"a snapshot comes back as it was put, byte for byte", snapshotAsPut},
	{"a snapshot takes the place of the one before it, also of a newer one", lastSnapshot},
	{"each store, stream and shape has a snapshot of its own", snapshotsApart},
	{"the caller may change its bytes, before and after", bytesOfTheCaller},
	{"a context that is over gives its error and puts nothing", snapshotCancelled},
	{"what is found is one of those that were put, whole", snapshotsTorn},
}

func snapshotKey(stream eventstore.StreamID) aggregate.SnapshotKey {
	return aggregate.SnapshotKey{Store: eventstore.StoreID{1, 15: 9}, Stream: stream, Shape: aggregate.Shape{2, 15: 8}}
}

func snapshotAt(version eventstore.Version, state []byte) aggregate.Snapshot {
	return aggregate.Snapshot{Incarnation: 3, Version: version, EventID: eventstore.EventID{4, 15: byte(version)}, State: state}
}

// found returns an error unless the key has the snapshot.
func found(ctx context.Context, store aggregate.SnapshotStore, key aggregate.SnapshotKey, want aggregate.Snapshot) error {
	got, found, err := store.FindSnapshot(ctx, key)
	switch {
	case err != nil:
		return fmt.Errorf("find %.20s: %w", key.Stream, err)
	case !found:
		return fmt.Errorf("find %.20s: there is none", key.Stream)
	case got.Incarnation != want.Incarnation || got.Version != want.Version || got.EventID != want.EventID:
		return fmt.Errorf("find %.20s: got incarnation %d, version %d, event %s; want %d, %d, %s",
			key.Stream, got.Incarnation, got.Version, got.EventID, want.Incarnation, want.Version, want.EventID)
	case !bytes.Equal(got.State, want.State):
		return fmt.Errorf("find %.20s: got the state %.40q (%d bytes), want %.40q (%d bytes)", key.Stream, got.State, len(got.State), want.State, len(want.State))
	}
	return nil
}

func noSnapshot(ctx context.Context, store aggregate.SnapshotStore) error {
	got, found, err := store.FindSnapshot(ctx, snapshotKey("order-1"))
	if err != nil || found || got.State != nil {
		return fmt.Errorf("find where nothing was put: got %+v, %t, error %v", got, found, err)
	}
	return nil
}

func snapshotAsPut(ctx context.Context, store aggregate.SnapshotStore) error {
	every := make([]byte, 256)
	for n := range every {
		every[n] = byte(n)
	}
	large := bytes.Repeat(every, 4096) // 1 MiB
	for n, state := range [][]byte{[]byte(`{"Total":1}`), every, {}, []byte(`{ "b": 1, "a": 1, "a": 1e2 }`), large} {
		for _, stream := range []eventstore.StreamID{"order-1", "order-a'b\"c%_\\ -é", eventstore.StreamID("order-" + strings.Repeat("x", 249))} {
			snapshot := snapshotAt(eventstore.Version(1<<40+n), state)
			if err := store.PutSnapshot(ctx, snapshotKey(stream), snapshot); err != nil {
				return fmt.Errorf("put %.20s: %w", stream, err)
			}
			if err := found(ctx, store, snapshotKey(stream), snapshot); err != nil {
				return err
			}
		}
	}
	return nil
}

func lastSnapshot(ctx context.Context, store aggregate.SnapshotStore) error {
	older := snapshotAt(2, []byte("after a failover"))
	older.Incarnation = 2
	for _, snapshot := range []aggregate.Snapshot{snapshotAt(1, []byte("a")), snapshotAt(7, []byte("b")), older, snapshotAt(2, []byte("c"))} {
		if err := store.PutSnapshot(ctx, snapshotKey("order-1"), snapshot); err != nil {
			return fmt.Errorf("put: %w", err)
		}
		if err := found(ctx, store, snapshotKey("order-1"), snapshot); err != nil {
			return err
		}
	}
	return nil
}

func snapshotsApart(ctx context.Context, store aggregate.SnapshotStore) error {
	keys := []aggregate.SnapshotKey{snapshotKey("order-1"), snapshotKey("order-10"), snapshotKey("Order-1"), snapshotKey("order-1 "), snapshotKey("order-1"), snapshotKey("order-1")}
	keys[4].Store[15]++
	keys[5].Shape[15]++
	for n, key := range keys {
		if err := store.PutSnapshot(ctx, key, snapshotAt(eventstore.Version(n+1), []byte{byte(n)})); err != nil {
			return fmt.Errorf("put: %w", err)
		}
	}
	for n, key := range keys {
		if err := found(ctx, store, key, snapshotAt(eventstore.Version(n+1), []byte{byte(n)})); err != nil {
			return err
		}
	}
	return nil
}

func bytesOfTheCaller(ctx context.Context, store aggregate.SnapshotStore) error {
	state := []byte("state")
	if err := store.PutSnapshot(ctx, snapshotKey("order-1"), snapshotAt(1, state)); err != nil {
		return fmt.Errorf("put: %w", err)
	}
	copy(state, "SCRIB")
	for range 2 {
		if err := found(ctx, store, snapshotKey("order-1"), snapshotAt(1, []byte("state"))); err != nil {
			return err
		}
		got, _, err := store.FindSnapshot(ctx, snapshotKey("order-1"))
		if err != nil {
			return fmt.Errorf("find: %w", err)
		}
		copy(got.State, "SCRIB")
	}
	return nil
}

func snapshotCancelled(ctx context.Context, store aggregate.SnapshotStore) error {
	over, cancel := context.WithCancel(ctx)
	cancel()
	if err := store.PutSnapshot(over, snapshotKey("order-1"), snapshotAt(1, []byte("a"))); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("put under a context that is over: got error %v", err)
	}
	if _, _, err := store.FindSnapshot(over, snapshotKey("order-1")); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("find under a context that is over: got error %v", err)
	}
	return noSnapshot(ctx, store)
}

// snapshotsTorn puts snapshots whose parts all tell their version, from several goroutines.
func snapshotsTorn(ctx context.Context, store aggregate.SnapshotStore) error {
	const writers, rounds = 3, 20
	whole := func(version eventstore.Version) aggregate.Snapshot {
		return snapshotAt(version, bytes.Repeat([]byte{byte(version)}, int(version)*100))
	}
	var racers sync.WaitGroup
	wrong := make(chan error, writers)
	for w := range writers {
		racers.Go(func() {
			for n := range rounds {
				if err := store.PutSnapshot(ctx, snapshotKey("order-1"), whole(eventstore.Version(w*rounds+n+1))); err != nil {
					wrong <- fmt.Errorf("put: %w", err)
					return
				}
				got, _, err := store.FindSnapshot(ctx, snapshotKey("order-1"))
				if err != nil {
					wrong <- fmt.Errorf("find: %w", err)
					return
				}
				if err := isWhole(got, whole(got.Version)); err != nil {
					wrong <- err
					return
				}
			}
		})
	}
	racers.Wait()
	close(wrong)
	return <-wrong
}

func isWhole(got, want aggregate.Snapshot) error {
	if got.EventID != want.EventID || !bytes.Equal(got.State, want.State) {
		return fmt.Errorf("the snapshot at version %d has parts of another: event %s, a state of %d bytes", got.Version, got.EventID, len(got.State))
	}
	return nil
}
