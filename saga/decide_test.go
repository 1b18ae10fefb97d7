package saga

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

type (
	begun    struct{}
	happened struct{ Step string }
)

func twoSteps(t *testing.T) *Rehearsal[int] {
	t.Helper()
	events, err := codec.NewSet(codec.Event[begun]("begun"), codec.Event[happened]("happened"))
	require.NoError(t, err)
	one := func(int) string { return "payload" }
	typ := Define("two", Definition[int]{
		Events: []*codec.Set{events},
		On: []Rule[int]{
			Begin[int](func(begun, eventstore.Recorded) string { return "1" }, nil),
			On(func(happened, eventstore.Recorded) string { return "1" }, func(n *int, _ happened, _ eventstore.Recorded) { *n++ }),
		},
		Steps: []Step[int]{
			{Name: "a", Do: Send("do.a", one), Done: []Match{ByIf(func(e happened) bool { return e.Step == "a" })}, Timeout: time.Hour},
			{Name: "b", Do: Send("do.b", one), Done: []Match{ByIf(func(e happened) bool { return e.Step == "b" })}},
		},
	})
	r := typ.Rehearse("1", time.Unix(0, 0))
	require.NoError(t, r.Event(t.Context(), "s-1", begun{}))
	return r
}

// What comes late, or again, by a view that is behind, a worker that slept, or when the store has
// forgotten the ids of commands.
func TestWhatComesAgainOrTooLateMeansNothing(t *testing.T) {
	t.Parallel()
	r := twoSteps(t)
	a, timer := r.Commands()[0], r.Timers()[0]
	require.NoError(t, r.tell(commandFailed{ID: a.ID, Attempt: 1, Reason: "lost", At: r.now}))
	require.NoError(t, r.Wait(time.Minute)) // it is requested again
	require.NoError(t, r.Event(t.Context(), "s-1", happened{"a"}))
	var seen observed
	for _, recorded := range r.records {
		if o, is := recorded.(observed); is {
			seen = o
		}
	}
	before := len(r.records)
	for name, late := range map[string]record{
		"an event again":                      seen,
		"the beginning again":                 r.records[0],
		"a timer that was cancelled":          timerFired{timer.ID, r.now},
		"a timer that nobody knows":           timerFired{"?", r.now},
		"the result of an attempt again":      commandFailed{ID: a.ID, Attempt: 1, Reason: "lost", At: r.now},
		"another result of an old attempt":    commandRefused{ID: a.ID, Attempt: 1, Reason: "no", At: r.now},
		"the success of an old attempt":       commandDone{ID: a.ID, Attempt: 1, At: r.now},
		"the result of an attempt to come":    commandDone{ID: a.ID, Attempt: 3, At: r.now},
		"the result of a command of nobody":   commandDone{ID: "?", Attempt: 1, At: r.now},
		"a resumption though it is not stuck": resumed{At: r.now},
	} {
		require.NoError(t, r.tell(late), name)
		assert.Len(t, r.records, before, name)
	}
	assert.Equal(t, 1, r.State())
	assert.Equal(t, Running, r.Phase())
}

// A step is late whose command could not be delivered, and nothing undoes it. To try on would have it done after
// all, behind what was undone.
func TestTheCommandOfAStepThatIsLateIsNotTriedAnyMoreIfNothingUndoesIt(t *testing.T) {
	t.Parallel()
	events, err := codec.NewSet(codec.Event[begun]("begun"))
	require.NoError(t, err)
	one := func(int) string { return "payload" }
	r := Define("late", Definition[int]{
		Events: []*codec.Set{events},
		On:     []Rule[int]{Begin[int](func(begun, eventstore.Recorded) string { return "1" }, nil)},
		Steps: []Step[int]{
			{Name: "a", Do: Send("do.a", one), Undo: Send("undo.a", one)},
			{Name: "b", Do: Send("do.b", one), Timeout: time.Minute},
		},
		Retry: Retry{First: 50 * time.Second, Most: 50 * time.Second},
	}).Rehearse("1", time.Unix(0, 0))
	require.NoError(t, r.Event(t.Context(), "s-1", begun{}))
	require.NoError(t, r.Handled(r.Commands()[0].ID, nil))
	b := r.Commands()[0].ID
	require.NoError(t, r.Handled(b, errors.New("away")))
	require.NoError(t, r.Wait(50*time.Second))
	require.NoError(t, r.Handled(b, errors.New("away")))
	require.Len(t, r.Timers(), 2, "it is late in ten seconds, and tried again later")
	require.NoError(t, r.Wait(10*time.Second))
	assert.Empty(t, r.Timers())
	require.Len(t, r.Commands(), 1)
	assert.Equal(t, "undo.a", r.Commands()[0].Name)
	require.NoError(t, r.Handled(r.Commands()[0].ID, nil))
	assert.Equal(t, Compensated, r.Phase())
}

// Ids stand in for the instance that an event begins, not for its name: another one of that name, in
// another store, sends other commands.
func TestTwoInstancesOfOneNameSendCommandsOfTheirOwn(t *testing.T) {
	t.Parallel()
	one, other := twoSteps(t).Commands(), twoSteps(t).Commands()
	assert.NotEqual(t, one[0].ID, other[0].ID)
}

func TestPausesDoubleUpToTheMostAndAreTheSameAgain(t *testing.T) {
	t.Parallel()
	retry := Retry{First: time.Second, Most: 10 * time.Second}.orDefault()
	for tries, most := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 5: 10 * time.Second, 500: 10 * time.Second} {
		pause := retry.pause("c", tries, tries)
		assert.Equal(t, pause, retry.pause("c", tries, tries))
		assert.LessOrEqual(t, pause, most)
		assert.Greater(t, pause, most/2-most/500)
	}
	assert.NotEqual(t, retry.pause("c", 5, 5), retry.pause("d", 5, 5))
}

// The dispatcher does requests of one append side by side, and no others.
func TestARequestSaysWhetherAnotherStandsBeforeItInItsAppend(t *testing.T) {
	t.Parallel()
	events, err := codec.NewSet(codec.Event[begun]("begun"))
	require.NoError(t, err)
	one := func(int) string { return "payload" }
	r := Define("pair", Definition[int]{
		Events: []*codec.Set{events},
		On:     []Rule[int]{Begin[int](func(begun, eventstore.Recorded) string { return "1" }, nil)},
		Steps:  []Step[int]{{Name: "a", Do: Send("do.a", one)}, {Name: "b", Do: Send("do.b", one), Together: true}},
	}).Rehearse("1", time.Unix(0, 0))
	require.NoError(t, r.Event(t.Context(), "s-1", begun{}))
	for _, c := range r.Commands() {
		require.NoError(t, r.Handled(c.ID, errors.New("away")))
	}
	require.NoError(t, r.Wait(time.Minute))
	beside := map[string][]bool{}
	for _, recorded := range r.records {
		if requested, is := recorded.(commandRequested); is {
			beside[requested.Step] = append(beside[requested.Step], requested.Beside)
		}
	}
	assert.Equal(t, map[string][]bool{"a": {false, false}, "b": {true, false}}, beside)
}
