package aggregate_test

import (
	"context"
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

func TestHistoryTellsWhoDidWhatAndWhatItChanged(t *testing.T) {
	t.Parallel()
	store := memory.NewStore()
	accounts := aggregate.NewRepository(store, Accounts)
	as := func(who string) aggregate.ExecuteOption {
		return aggregate.Metadata(eventstore.Metadata{"actor": who})
	}
	_, err := accounts.Execute(t.Context(), "1", Open("ada"), as("teller"))
	require.NoError(t, err)
	_, err = accounts.Execute(t.Context(), "1", Deposit(50), as("bob"))
	require.NoError(t, err)
	_, err = store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "account-1", Events: []eventstore.EventData{
		{Type: "account.withdrawn", Data: []byte(`{"Cents":20}`), Metadata: []byte("of another form")},
	}}}})
	require.NoError(t, err)

	var steps []aggregate.Step[Account, Event]
	for step, err := range accounts.History(t.Context(), "1") {
		require.NoError(t, err)
		assert.False(t, step.RecordedAt.IsZero())
		step.Recorded = eventstore.Recorded{Version: step.Version, EventData: eventstore.EventData{Type: step.Type}}
		steps = append(steps, step)
	}
	assert.Equal(t, []aggregate.Step[Account, Event]{
		{Recorded: at(1, "account.opened"), Metadata: eventstore.Metadata{"actor": "teller"}, Events: []Event{Opened{"ada"}}, State: Account{Owner: "ada"}},
		{Recorded: at(2, "account.deposited"), Metadata: eventstore.Metadata{"actor": "bob"}, Events: []Event{Deposited{50}}, Before: Account{Owner: "ada"}, State: Account{"ada", 50}},
		{Recorded: at(3, "account.withdrawn"), Events: []Event{Withdrawn{20}}, Before: Account{"ada", 50}, State: Account{"ada", 30}},
	}, steps)
}

func at(version eventstore.Version, name string) eventstore.Recorded {
	return eventstore.Recorded{Version: version, EventData: eventstore.EventData{Type: name}}
}

// The states of a step share nothing, though this fold changes its slice in place. The twin copies
// the state instead of folding it twice.
func TestTheStatesOfAStepShareNothing(t *testing.T) {
	t.Parallel()
	type swapped struct{ Order []string }
	hands := aggregate.Define("hand", func(e swapped, s *[]string) {
		if *s == nil {
			*s = e.Order
			return
		}
		slices.Reverse(*s)
	}, codec.Event[swapped]("swapped"))
	repository := aggregate.NewRepository(memory.NewStore(), hands)
	for range 3 {
		_, err := repository.Execute(t.Context(), "1", func([]string) ([]swapped, error) { return []swapped{{[]string{"a", "b"}}}, nil })
		require.NoError(t, err)
	}
	var seen, twin []string
	var copied []string
	for step, err := range repository.History(t.Context(), "1") {
		require.NoError(t, err)
		before := copied
		copied = step.State
		seen = append(seen, fmt.Sprint(step.Before, step.State))
		twin = append(twin, fmt.Sprint(before, step.State))
	}
	assert.Equal(t, []string{"[] [a b]", "[a b] [b a]", "[b a] [a b]"}, seen)
	assert.NotEqual(t, seen, twin, "the planted bug shows")
}

func TestHistoryEndsWithTheErrorsOfALoad(t *testing.T) {
	t.Parallel()
	store := memory.NewStore()
	accounts := aggregate.NewRepository(store, Accounts)
	_, err := accounts.Execute(t.Context(), "1", Deposit(5))
	require.NoError(t, err)
	_, err = store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "account-1", Events: []eventstore.EventData{{Type: "unheard.of"}}}}})
	require.NoError(t, err)
	history := func(id string) (steps int, last error) {
		for step, err := range accounts.History(t.Context(), id) {
			if last = err; err != nil {
				assert.Zero(t, step)
				continue
			}
			steps++
		}
		return steps, last
	}
	steps, err := history("1")
	assert.Equal(t, 1, steps)
	require.ErrorIs(t, err, codec.ErrUnknownType)
	require.ErrorContains(t, err, "history of account-1: ")
	_, err = history("")
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	steps, err = history("nobody")
	assert.Zero(t, steps)
	require.NoError(t, err)
	_, err = store.DeleteStream(t.Context(), "account-1", eventstore.Any)
	require.NoError(t, err)
	_, err = history("1")
	require.ErrorIs(t, err, eventstore.ErrStreamDeleted)
	for range accounts.History(t.Context(), "1") {
		break
	}
}

func TestDiffNamesEachPlaceThatChanged(t *testing.T) {
	t.Parallel()
	type line struct {
		Item string
		N    int64
	}
	type state struct {
		Owner  string
		Lines  []line
		Notes  map[string]any
		Closed *bool
		secret int
	}
	closed := true
	before := state{"ada", []line{{"tea", 1}, {"cake", 2}}, map[string]any{"a/b~c": 1, "gone": []int{1}, "same": "x", "odd": map[string]int{"x": 1}}, nil, 1}
	after := state{"ada", []line{{"tea", 9007199254740993}}, map[string]any{"a/b~c": 2, "new": nil, "same": "x", "odd": 7}, &closed, 2}
	changes, err := aggregate.Diff(before, after)
	require.NoError(t, err)
	var all []string
	for _, c := range changes {
		all = append(all, c.String())
	}
	assert.Equal(t, []string{
		`/Closed: null -> true`,
		`/Lines/0/N: 1 -> 9007199254740993`,
		`/Lines/1: {"Item":"cake","N":2} -> (none)`,
		`/Notes/a~1b~0c: 1 -> 2`,
		`/Notes/gone: [1] -> (none)`,
		`/Notes/new: (none) -> null`,
		`/Notes/odd: {"x":1} -> 7`,
	}, all)

	none, err := aggregate.Diff(before, before)
	require.NoError(t, err)
	assert.Empty(t, none)
	whole, err := aggregate.Diff(1, 2)
	require.NoError(t, err)
	assert.Equal(t, []aggregate.Change{{Path: "", Old: []byte("1"), New: []byte("2")}}, whole)
	_, err = aggregate.Diff(make(chan int), nil)
	require.ErrorContains(t, err, "compare states of chan int")
}

// Who did what to an account, and what it changed.
func ExampleRepository_History() {
	ctx := context.Background()
	accounts := aggregate.NewRepository(memory.NewStore(), Accounts)
	as := func(who string) aggregate.ExecuteOption {
		return aggregate.Metadata(eventstore.Metadata{eventstore.MetadataActor: who})
	}
	_, _ = accounts.Execute(ctx, "ada", Open("Ada"), as("teller-3"))
	_, _ = accounts.Execute(ctx, "ada", Deposit(100), as("ada"))

	for step, err := range accounts.History(ctx, "ada") {
		if err != nil {
			panic(err)
		}
		changes, err := aggregate.Diff(step.Before, step.State)
		fmt.Println(step.Version, step.Type, "by", step.Metadata[eventstore.MetadataActor], changes, err)
	}
	// Output:
	// 1 account.opened by teller-3 [/Owner: "" -> "Ada"] <nil>
	// 2 account.deposited by ada [/Balance: 0 -> 100] <nil>
}
