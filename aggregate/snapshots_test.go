package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// counting counts what is asked of a store.
type counting struct {
	eventstore.Store
	events, heads int
}

func (c *counting) ReadStream(ctx context.Context, stream eventstore.StreamID, in eventstore.StreamRange) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for recorded, err := range c.Store.ReadStream(ctx, stream, in) {
			c.events++
			if !yield(recorded, err) {
				return
			}
		}
	}
}

func (c *counting) Head(ctx context.Context) (eventstore.Token, error) {
	c.heads++
	return c.Store.Head(ctx)
}

// fails collects what was wrong with snapshots.
type fails []error

func (f *fails) options(every int, verified float64) aggregate.SnapshotOptions {
	return aggregate.SnapshotOptions{Every: every, Verified: verified, Failed: func(_ eventstore.StreamID, err error) { *f = append(*f, err) }}
}

// enterAll appends entries of 1 to a ledger, one by one.
func enterAll(t testing.TB, ledgers *aggregate.Repository[Ledger, Entered], id string, entries int) {
	t.Helper()
	for range entries {
		_, err := ledgers.Execute(t.Context(), id, enter("me", 1))
		require.NoError(t, err)
	}
}

// snapshotted returns a store that has 10 events of ledger-1 and a snapshot at version 10.
func snapshotted(t testing.TB) (*counting, *memory.Snapshots) {
	t.Helper()
	store, kept := &counting{Store: memory.NewStore()}, memory.NewSnapshots()
	ledgers := aggregate.NewRepository(store, Ledgers)
	enterAll(t, ledgers, "1", 10)
	snapshots := aggregate.NewSnapshots(kept, aggregate.SnapshotOptions{Every: 10})
	_, _, err := ledgers.WithSnapshots(snapshots).Load(t.Context(), "1")
	require.NoError(t, err)
	snapshots.TakeDue(t.Context())
	store.events, store.heads = 0, 0
	return store, kept
}

func TestALoadBeginsWithTheSnapshot(t *testing.T) {
	store, kept := snapshotted(t)
	ledgers := aggregate.NewRepository(store, Ledgers).WithSnapshots(aggregate.NewSnapshots(kept, aggregate.SnapshotOptions{Verified: -1}))
	enterAll(t, aggregate.NewRepository(store, Ledgers), "1", 3)
	store.events = 0

	ledger, version, err := ledgers.Load(t.Context(), "1")
	require.NoError(t, err)
	assert.EqualValues(t, 13, version)
	assert.EqualValues(t, 13, ledger.Total)
	assert.Len(t, ledger.Entries, 13)
	assert.Equal(t, 4, store.events, "the snapshot's own last event, and the three behind it")

	_, err = ledgers.Execute(t.Context(), "1", enter("me", 1))
	require.NoError(t, err)
	require.NoError(t, checkLedgers(t.Context(), store))
}

// A busy stream has one snapshot after each so many events, however it is appended to.
func TestSnapshotsAreTakenEverySoManyEvents(t *testing.T) {
	for name, with := range map[string]func(*aggregate.Repository[Ledger, Entered]) *aggregate.Repository[Ledger, Entered]{
		"by loads": func(r *aggregate.Repository[Ledger, Entered]) *aggregate.Repository[Ledger, Entered] { return r },
		"by appends that loaded nothing": func(r *aggregate.Repository[Ledger, Entered]) *aggregate.Repository[Ledger, Entered] {
			return r.WithCache(aggregate.CacheOptions{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			store, puts := memory.NewStore(), &recording{SnapshotStore: memory.NewSnapshots()}
			snapshots := aggregate.NewSnapshots(puts, aggregate.SnapshotOptions{Every: 10, Verified: -1})
			ledgers := with(aggregate.NewRepository(store, Ledgers).WithSnapshots(snapshots))
			for range 45 {
				enterAll(t, ledgers, "1", 1)
				snapshots.TakeDue(t.Context())
			}
			require.Len(t, puts.versions, 4)
			for n, version := range puts.versions {
				assert.InDelta(t, 10*(n+1), int(version), 5)
			}
		})
	}
}

// recording keeps the versions of the snapshots that were put.
type recording struct {
	aggregate.SnapshotStore
	versions []eventstore.Version
}

func (r *recording) PutSnapshot(ctx context.Context, key aggregate.SnapshotKey, snapshot aggregate.Snapshot) error {
	r.versions = append(r.versions, snapshot.Version)
	return r.SnapshotStore.PutSnapshot(ctx, key, snapshot)
}

func TestRunTakesSnapshotsUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, kept := memory.NewStore(), memory.NewSnapshots()
		snapshots := aggregate.NewSnapshots(kept, aggregate.SnapshotOptions{Every: 5})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- snapshots.Run(ctx) }()
		enterAll(t, aggregate.NewRepository(store, Ledgers).WithSnapshots(snapshots), "1", 7)
		synctest.Wait()
		head, err := store.Head(t.Context())
		require.NoError(t, err)
		snapshot, found, err := kept.FindSnapshot(t.Context(), aggregate.SnapshotKey{Store: head.Store, Stream: "ledger-1", Shape: Ledgers.Shape()})
		require.NoError(t, err)
		require.True(t, found)
		assert.GreaterOrEqual(t, snapshot.Version, eventstore.Version(5))
		stop()
		require.NoError(t, <-ended)
	})
}

// More streams than may wait: those that found no room are asked for by a later load.
func TestTooManySnapshotsAreLeftToLater(t *testing.T) {
	store := memory.NewStore()
	snapshots := aggregate.NewSnapshots(memory.NewSnapshots(), aggregate.SnapshotOptions{Every: 1, Verified: -1})
	ledgers := aggregate.NewRepository(store, Ledgers).WithSnapshots(snapshots)
	for n := range 100 {
		enterAll(t, ledgers, fmt.Sprint(n), 2)
	}
	assert.Equal(t, 64, snapshots.Due())
	snapshots.TakeDue(t.Context())
	for n := range 100 {
		_, _, err := ledgers.Load(t.Context(), fmt.Sprint(n))
		require.NoError(t, err)
	}
	assert.Equal(t, 36, snapshots.Due())
}

// doubled is the ledger's fold with another body.
func doubled(foldVersion int) *aggregate.Type[Ledger, Entered] {
	return aggregate.Define("ledger", func(e Entered, l *Ledger) { e.apply(l); l.Total += e.Add },
		codec.Event[Entered]("ledger.entered")).FoldVersion(foldVersion)
}

// aChangedFoldGetsNoOldState returns an error if it does.
func aChangedFoldGetsNoOldState(t testing.TB, wrap func(aggregate.SnapshotStore) aggregate.SnapshotStore) error {
	store, kept := snapshotted(t)
	snapshots := aggregate.NewSnapshots(wrap(kept), aggregate.SnapshotOptions{Verified: -1})
	ledger, _, err := aggregate.NewRepository(store, doubled(2)).WithSnapshots(snapshots).Load(t.Context(), "1")
	if err == nil && ledger.Total != 20 {
		err = fmt.Errorf("the total is %d, the fold makes it 20", ledger.Total)
	}
	return err
}

// shapeless keeps snapshots by stream alone.
type shapeless struct{ aggregate.SnapshotStore }

func (s shapeless) FindSnapshot(ctx context.Context, key aggregate.SnapshotKey) (aggregate.Snapshot, bool, error) {
	key.Shape = Ledgers.Shape()
	return s.SnapshotStore.FindSnapshot(ctx, key)
}

func TestAChangedFoldDoesNotUseSnapshotsOfTheOldOne(t *testing.T) {
	require.NoError(t, aChangedFoldGetsNoOldState(t, func(s aggregate.SnapshotStore) aggregate.SnapshotStore { return s }))
	t.Run("the twin without the shape in its key does", func(t *testing.T) {
		err := aChangedFoldGetsNoOldState(t, func(s aggregate.SnapshotStore) aggregate.SnapshotStore { return shapeless{s} })
		require.ErrorContains(t, err, "the total is 10")
	})
}

// The fold was changed and its version was not, which only a comparison can find.
func TestAChangedFoldOfTheSameVersionIsFound(t *testing.T) {
	store, kept := snapshotted(t)
	var failed fails
	enterAll(t, aggregate.NewRepository(store, Ledgers), "2", 3)
	lucky := aggregate.NewRepository(store, doubled(1)).WithSnapshots(aggregate.NewSnapshots(kept, failed.options(10, -1)))
	ledger, _, err := lucky.Load(t.Context(), "1")
	require.NoError(t, err)
	require.EqualValues(t, 10, ledger.Total, "the old fold's: nobody has compared")

	snapshots := aggregate.NewSnapshots(kept, failed.options(10, 1))
	ledgers := aggregate.NewRepository(store, doubled(1)).WithSnapshots(snapshots)
	ledger, version, err := ledgers.Load(t.Context(), "1")
	require.NoError(t, err)
	assert.EqualValues(t, 20, ledger.Total, "what was folded is used")
	assert.EqualValues(t, 10, version)
	require.Len(t, failed, 1)
	mismatch, ok := errors.AsType[*aggregate.SnapshotMismatchError](failed[0])
	require.True(t, ok)
	assert.Equal(t, eventstore.StreamID("ledger-1"), mismatch.Stream)
	assert.Contains(t, mismatch.Error(), "raise the number in FoldVersion")

	snapshots.TakeDue(t.Context())
	ledger, _, err = lucky.Load(t.Context(), "1")
	require.NoError(t, err)
	assert.EqualValues(t, 20, ledger.Total, "the snapshot has been replaced")
}

// One that differs casts doubt on all of its shape.
func TestAfterAMismatchEveryLoadCompares(t *testing.T) {
	store, kept := snapshotted(t)
	var failed fails
	snapshots := aggregate.NewSnapshots(kept, failed.options(10, 0.3))
	ledgers := aggregate.NewRepository(store, doubled(1)).WithSnapshots(snapshots)
	for range 200 { // a share of 0.3 of them compares
		if _, _, err := ledgers.Load(t.Context(), "1"); len(failed) > 0 || !assert.NoError(t, err) {
			break
		}
	}
	require.NotEmpty(t, failed)
	for range 5 {
		ledger, _, err := ledgers.Load(t.Context(), "1")
		require.NoError(t, err)
		assert.EqualValues(t, 20, ledger.Total)
	}
}

func TestAVerifiedSnapshotIsGood(t *testing.T) {
	store, kept := snapshotted(t)
	var failed fails
	snapshots := aggregate.NewSnapshots(kept, failed.options(10, 1))
	ledger, version, err := aggregate.NewRepository(store, Ledgers).WithSnapshots(snapshots).Load(t.Context(), "1")
	require.NoError(t, err)
	assert.EqualValues(t, 10, ledger.Total)
	assert.EqualValues(t, 10, version)
	assert.Equal(t, 10, store.events)
	assert.Empty(t, failed)
	assert.Zero(t, snapshots.Due(), "no other one is needed")
}

// altered gives snapshots that are no good.
type altered struct {
	aggregate.SnapshotStore
	alter func(*aggregate.Snapshot) error
}

func (a altered) FindSnapshot(ctx context.Context, key aggregate.SnapshotKey) (aggregate.Snapshot, bool, error) {
	snapshot, found, err := a.SnapshotStore.FindSnapshot(ctx, key)
	if err == nil && found {
		err = a.alter(&snapshot)
	}
	return snapshot, found, err
}

func TestASnapshotOfNoUseIsDoneWithout(t *testing.T) {
	lost := errors.New("connection lost")
	for name, c := range map[string]struct {
		alter  func(*aggregate.Snapshot) error
		failed string
	}{
		"it cannot be decoded":       {func(s *aggregate.Snapshot) error { s.State = []byte(`{"Total":`); return nil }, "decode the snapshot at version 10"},
		"it is empty":                {func(s *aggregate.Snapshot) error { s.State = nil; return nil }, "decode the snapshot"},
		"it cannot be read":          {func(*aggregate.Snapshot) error { return lost }, "find the snapshot: connection lost"},
		"it is of another life":      {func(s *aggregate.Snapshot) error { s.Incarnation++; return nil }, ""},
		"its event is another":       {func(s *aggregate.Snapshot) error { s.EventID[3]++; return nil }, ""},
		"its event is at another":    {func(s *aggregate.Snapshot) error { s.Version--; return nil }, ""},
		"it is beyond the end":       {func(s *aggregate.Snapshot) error { s.Version += 5; return nil }, ""},
		"it is far beyond the end":   {func(s *aggregate.Snapshot) error { s.Version = 1 << 62; return nil }, ""},
		"it is at no version":        {func(s *aggregate.Snapshot) error { s.Version = 0; return nil }, ""},
		"it is at an impossible one": {func(s *aggregate.Snapshot) error { s.Version = -3; return nil }, ""},
	} {
		for _, verified := range []float64{-1, 1} {
			t.Run(fmt.Sprint(name, verified), func(t *testing.T) {
				store, kept := snapshotted(t)
				var failed fails
				snapshots := aggregate.NewSnapshots(altered{kept, c.alter}, failed.options(10, verified))
				ledgers := aggregate.NewRepository(store, Ledgers).WithSnapshots(snapshots)
				ledger, version, err := ledgers.Load(t.Context(), "1")
				require.NoError(t, err)
				assert.EqualValues(t, 10, version)
				assert.EqualValues(t, 10, ledger.Total)
				assert.Len(t, ledger.Entries, 10)
				assert.Equal(t, 1, snapshots.Due(), "another one will take its place")
				if c.failed == "" {
					assert.Empty(t, failed)
				} else if assert.Len(t, failed, 1) {
					assert.ErrorContains(t, failed[0], c.failed)
				}
			})
		}
	}
}

func TestASnapshotStoreThatHangsHoldsUpALoadForASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, _ := snapshotted(t)
		var failed fails
		snapshots := aggregate.NewSnapshots(hanging{}, failed.options(10, -1))
		start := time.Now()
		_, version, err := aggregate.NewRepository(store, Ledgers).WithSnapshots(snapshots).Load(t.Context(), "1")
		require.NoError(t, err)
		assert.EqualValues(t, 10, version)
		assert.Equal(t, time.Second, time.Since(start))
		assert.Len(t, failed, 1)

		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, _, err = aggregate.NewRepository(store, Ledgers).WithSnapshots(snapshots).Load(ctx, "1")
		require.ErrorIs(t, err, context.DeadlineExceeded, "a caller with less patience")
		assert.Len(t, failed, 1)
	})
}

type hanging struct{ aggregate.SnapshotStore }

func (hanging) FindSnapshot(ctx context.Context, _ aggregate.SnapshotKey) (aggregate.Snapshot, bool, error) {
	<-ctx.Done()
	return aggregate.Snapshot{}, false, ctx.Err()
}

func TestADeletedStreamIsDeletedWhateverIsKept(t *testing.T) {
	store := memory.NewStore()
	snapshots := aggregate.NewSnapshots(memory.NewSnapshots(), aggregate.SnapshotOptions{Every: 2})
	ledgers := aggregate.NewRepository(store, Ledgers).WithSnapshots(snapshots).WithCache(aggregate.CacheOptions{})
	enterAll(t, ledgers, "1", 5)
	snapshots.TakeDue(t.Context())
	_, err := store.DeleteStream(t.Context(), "ledger-1", eventstore.Any)
	require.NoError(t, err)

	for range 2 { // on the kept state, and without it
		_, err = ledgers.Execute(t.Context(), "1", enter("me", 1))
		require.ErrorIs(t, err, eventstore.ErrStreamDeleted)
	}
	_, _, err = ledgers.Load(t.Context(), "1")
	require.ErrorIs(t, err, eventstore.ErrStreamDeleted)
	snapshots.TakeDue(t.Context())
}

func TestAStateThatDoesNotComeBackIsReportedAndNotKept(t *testing.T) {
	store, kept := memory.NewStore(), &recording{SnapshotStore: memory.NewSnapshots()}
	var failed fails
	snapshots := aggregate.NewSnapshots(kept, failed.options(2, 1))
	typ := aggregate.Define("ledger", func(e Entered, l *Ledger) { e.apply(l); l.By["\xff"] = 1 }, codec.Event[Entered]("ledger.entered")).FoldVersion(1)
	ledgers := aggregate.NewRepository(store, typ).WithSnapshots(snapshots)
	enterAll(t, ledgers, "1", 5)
	snapshots.TakeDue(t.Context())
	require.Len(t, failed, 1)
	require.ErrorContains(t, failed[0], "take a snapshot: the state does not come back from its encoded form")
	assert.Empty(t, kept.versions)
}

// A transaction may be rolled back: nothing that was seen in it is kept, nor anything kept used.
func TestNothingIsKeptOfAnotherStore(t *testing.T) {
	store, kept := snapshotted(t)
	snapshots := aggregate.NewSnapshots(kept, aggregate.SnapshotOptions{Every: 1, Verified: -1})
	ledgers := aggregate.NewRepository(store, Ledgers).WithSnapshots(snapshots).WithCache(aggregate.CacheOptions{})
	enterAll(t, ledgers, "1", 1)
	snapshots.TakeDue(t.Context())
	require.Equal(t, 1, ledgers.Cached())

	inside := &counting{Store: store.Store}
	enterAll(t, ledgers.With(inside), "1", 1)
	assert.Equal(t, 1, inside.events, "the snapshot is used, and its event proves it")
	assert.Equal(t, 1, ledgers.Cached())
	assert.Zero(t, snapshots.Due())

	late := aggregate.NewRepository(store, Ledgers).With(inside).WithSnapshots(snapshots).WithCache(aggregate.CacheOptions{})
	enterAll(t, late, "1", 1)
	assert.Zero(t, late.Cached())
	assert.Zero(t, snapshots.Due())
}

func TestATypeWithoutAFoldVersionHasNoSnapshots(t *testing.T) {
	accounts := aggregate.NewRepository(memory.NewStore(), Accounts)
	require.PanicsWithValue(t, `aggregate: the type "account" has no FoldVersion, so its states cannot be kept in snapshots`,
		func() {
			accounts.WithSnapshots(aggregate.NewSnapshots(memory.NewSnapshots(), aggregate.SnapshotOptions{}))
		})
}

// Many programs at once, each with goroutines that want the same state.
func TestWritersWithCachesAndSnapshotsTakeTurns(t *testing.T) {
	store, kept := memory.NewStore(), memory.NewSnapshots()
	ctx, stop := context.WithCancel(t.Context())
	var background, writers sync.WaitGroup
	for range 2 {
		snapshots := aggregate.NewSnapshots(kept, aggregate.SnapshotOptions{Every: 20, Verified: 0.5, Failed: func(_ eventstore.StreamID, err error) { assert.NoError(t, err) }})
		background.Go(func() { assert.NoError(t, snapshots.Run(ctx)) })
		ledgers := aggregate.NewRepository(store, Ledgers).WithSnapshots(snapshots).
			WithCache(aggregate.CacheOptions{}).WithOptions(aggregate.Options{MaxAttempts: 1000})
		for n := range 6 {
			writers.Go(func() {
				for range 20 {
					_, err := ledgers.Execute(t.Context(), fmt.Sprint(n%2), enter(fmt.Sprint(n), 1))
					assert.NoError(t, err)
				}
			})
		}
	}
	writers.Wait()
	stop()
	background.Wait()
	require.NoError(t, checkLedgers(t.Context(), store))
	for _, id := range []string{"0", "1"} {
		ledger, version, err := aggregate.NewRepository(store, Ledgers).Load(t.Context(), id)
		require.NoError(t, err)
		assert.EqualValues(t, 120, ledger.Total)
		assert.EqualValues(t, 120, version)
	}
}
