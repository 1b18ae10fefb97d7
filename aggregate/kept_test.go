package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
)

type execute = aggregate.ExecuteFunc[Ledger, Entered]

// process is one program with a repository.
type process struct {
	ledgers   *aggregate.Repository[Ledger, Entered]
	snapshots *aggregate.Snapshots // nil: it has none
	execute   execute
}

// enter executes a decision and returns an error if the answer was wrong: a refusal on a state
// that is not the newest.
func (p process) enter(t testing.TB, store *failing, id string, by string, add int64, options ...aggregate.ExecuteOption) error {
	_, err := p.execute(p.ledgers, t.Context(), id, enter(by, add), options...)
	var refused *shortError
	if !errors.As(err, &refused) {
		return nil // made, or not: the log will tell
	}
	newest, _, err := aggregate.NewRepository(store, Ledgers).Load(t.Context(), id)
	if err == nil && newest.Total != refused.saw {
		err = fmt.Errorf("refused because only %d were there, but there were %d", refused.saw, newest.Total)
	}
	return err
}

// newProcesses returns programs on one store, the snapshots of which are kept in one place: two
// with a cache, one of them with snapshots too, one with snapshots, and one with neither.
func newProcesses(store *failing, kept aggregate.SnapshotStore, e execute) []process {
	plain := (*aggregate.Repository[Ledger, Entered]).Execute
	bare := aggregate.NewRepository(store, Ledgers)
	quiet := aggregate.SnapshotOptions{Every: 3, Verified: -1}
	one, two := aggregate.NewSnapshots(kept, quiet), aggregate.NewSnapshots(kept, quiet)
	return []process{
		{ledgers: bare.WithCache(aggregate.CacheOptions{States: 2}), execute: e},
		{ledgers: bare.WithCache(aggregate.CacheOptions{}).WithSnapshots(one), snapshots: one, execute: e},
		{ledgers: bare.WithSnapshots(two), snapshots: two, execute: plain},
		{ledgers: bare, execute: plain},
	}
}

// Whatever programs with caches and snapshots do beside each other, and whatever fails: every
// event was decided on the fold of the events before it, and every refusal on the newest state.
func TestDecisionsAreMadeOnTheNewestState(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		store := newFailing()
		processes := newProcesses(store, memory.NewSnapshots(), (*aggregate.Repository[Ledger, Entered]).Execute)
		act := rapid.Custom(func(rt *rapid.T) string {
			return rapid.SampledFrom([]string{"enter", "enter", "enter", "enter", "repeat", "fault", "fail over", "snapshots"}).Draw(rt, "act")
		})
		for n := range rapid.IntRange(1, 60).Draw(rt, "acts") {
			switch act.Draw(rt, "act") {
			case "fault":
				store.next = faults[rapid.SampledFrom(faultNames).Draw(rt, "fault")]
			case "fail over":
				store.failOver(t, rapid.IntRange(0, 4).Draw(rt, "lost"))
			case "snapshots":
				for _, p := range processes {
					if p.snapshots != nil {
						p.snapshots.TakeDue(t.Context())
					}
				}
			case "repeat":
				p := rapid.SampledFrom(processes).Draw(rt, "process")
				id := aggregate.CommandID(rapid.SampledFrom([]string{"x", "y", "z"}).Draw(rt, "command"))
				require.NoError(rt, p.enter(t, store, "1", fmt.Sprint(n), rapid.Int64Range(-50, 50).Draw(rt, "add"), id))
			default:
				p := rapid.SampledFrom(processes).Draw(rt, "process")
				ledger := rapid.SampledFrom([]string{"1", "1", "1", "2", "3"}).Draw(rt, "ledger")
				require.NoError(rt, p.enter(t, store, ledger, fmt.Sprint(n), rapid.Int64Range(-50, 50).Draw(rt, "add")))
			}
			require.NoError(rt, checkLedgers(t.Context(), store))
		}
	})
}

// story is what happens to one ledger, and ends with the first wrong answer or wrong event.
type story func(t testing.TB, store *failing, mine, other process) error

// A busy store does not take the append. Another writer takes its place.
func anAppendIsNotMade(t testing.TB, store *failing, mine, other process) error {
	err := mine.enter(t, store, "1", "me", 100)
	store.next = faults["busy"]
	return errors.Join(err,
		mine.enter(t, store, "1", "me", 10),
		other.enter(t, store, "1", "other", -50),
		mine.enter(t, store, "1", "me", 7),
		checkLedgers(t.Context(), store))
}

// The answer is lost and the append was not made, and another writer takes its place.
func anAnswerIsLost(t testing.TB, store *failing, mine, other process) error {
	err := mine.enter(t, store, "1", "me", 100)
	store.next = faults["unknown, and not made"]
	return errors.Join(err,
		mine.enter(t, store, "1", "me", 10),
		other.enter(t, store, "1", "other", -50),
		mine.enter(t, store, "1", "me", 7),
		checkLedgers(t.Context(), store))
}

// Money comes in through another program.
func moneyComesIn(t testing.TB, store *failing, mine, other process) error {
	return errors.Join(
		mine.enter(t, store, "1", "me", 10),
		other.enter(t, store, "1", "other", 100),
		mine.enter(t, store, "1", "me", -50),
		checkLedgers(t.Context(), store))
}

// The log loses an append, and has another one at its version.
func theLogIsRolledBack(t testing.TB, store *failing, mine, other process) error {
	err := errors.Join(
		mine.enter(t, store, "1", "me", 100),
		mine.enter(t, store, "1", "me", 100),
		mine.enter(t, store, "1", "me", 100),
		mine.enter(t, store, "1", "me", 100))
	if mine.snapshots != nil {
		mine.snapshots.TakeDue(t.Context())
		_, _, err := mine.ledgers.Load(t.Context(), "1")
		require.NoError(t, err)
		mine.snapshots.TakeDue(t.Context())
	}
	store.failOver(t, 1)
	return errors.Join(err,
		other.enter(t, store, "1", "other", -250),
		mine.enter(t, store, "1", "me", 1),
		checkLedgers(t.Context(), store))
}

var stories = map[string]story{
	"an append is not made":  anAppendIsNotMade,
	"an answer is lost":      anAnswerIsLost,
	"money comes in":         moneyComesIn,
	"the log is rolled back": theLogIsRolledBack,
}

func TestAKeptStateIsNotBelieved(t *testing.T) {
	for name, story := range stories {
		for n := range 4 {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				store := newFailing()
				processes := newProcesses(store, memory.NewSnapshots(), (*aggregate.Repository[Ledger, Entered]).Execute)
				require.NoError(t, story(t, store, processes[n], processes[3]))
			})
		}
	}
}

// Each twin has one planted bug, and the story that is there to find it does.
func TestPlantedBugsOfTheCacheAreFound(t *testing.T) {
	for bug, twin := range map[string]struct {
		execute execute
		story   string
		finds   string
	}{
		"the state is kept before the commit":      {aggregate.KeepsBeforeCommit[Ledger, Entered](), "an append is not made", "was decided on a total"},
		"the state is kept after a lost answer":    {aggregate.KeepsWhateverHappens[Ledger, Entered](), "an answer is lost", "was decided on a total"},
		"a refusal of a kept state is believed":    {aggregate.BelievesKeptRefusals[Ledger, Entered](), "money comes in", "but there were"},
		"an append is made in any life of the log": {aggregate.TrustsAnyLife[Ledger, Entered](), "the log is rolled back", "was decided on a total"},
	} {
		t.Run(bug, func(t *testing.T) {
			store := newFailing()
			processes := newProcesses(store, memory.NewSnapshots(), twin.execute)
			require.ErrorContains(t, stories[twin.story](t, store, processes[0], processes[3]), twin.finds)
		})
	}
}

// credulous gives every snapshot the proof that it lacks.
type credulous struct {
	aggregate.SnapshotStore
	log *failing
}

func (c credulous) FindSnapshot(ctx context.Context, key aggregate.SnapshotKey) (aggregate.Snapshot, bool, error) {
	snapshot, found, err := c.SnapshotStore.FindSnapshot(ctx, key)
	if err != nil || !found {
		return snapshot, found, err
	}
	snapshot.Incarnation = c.log.identity.Incarnation
	for recorded, err := range c.log.ReadStream(ctx, key.Stream, eventstore.StreamRange{After: snapshot.Version - 1, Through: snapshot.Version}) {
		if err != nil {
			return snapshot, false, err
		}
		snapshot.EventID = recorded.ID
	}
	return snapshot, true, nil
}

func TestASnapshotThatIsTrustedAfterARollbackIsFound(t *testing.T) {
	store := newFailing()
	processes := newProcesses(store, credulous{memory.NewSnapshots(), store}, (*aggregate.Repository[Ledger, Entered]).Execute)
	require.ErrorContains(t, stories["the log is rolled back"](t, store, processes[2], processes[3]), "was decided on a total")
}
