package command_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
)

func TestEveryEventOfACommandSaysWhoDidWhatInWhichConversation(t *testing.T) {
	t.Parallel()
	store := memory.NewStore()
	bus := transfers(store, nil)
	_, err := bus.Dispatch(t.Context(), Transfer{"ada", "bob", 30},
		command.ID("order-7"), command.Principal("ada@example.com"), command.Correlation("request-1"))
	require.NoError(t, err)
	want := eventstore.Metadata{"correlation_id": "request-1", "causation_id": "order-7", "actor": "ada@example.com", "command": "transfer"}
	assert.Equal(t, []eventstore.Metadata{want, want}, stored(t, store))
}

func TestACommandWithoutAnythingBeginsAConversationOfItsOwn(t *testing.T) {
	t.Parallel()
	store := memory.NewStore()
	bus := transfers(store, nil)
	for range 2 {
		_, err := bus.Dispatch(t.Context(), Transfer{"ada", "bob", 30})
		require.NoError(t, err)
	}
	all := stored(t, store)
	require.Len(t, all, 4)
	assert.Equal(t, all[0], all[1], "one command, one conversation")
	assert.Equal(t, all[2], all[3])
	assert.NotEqual(t, all[0]["correlation_id"], all[2]["correlation_id"])
	for _, m := range all {
		assert.Equal(t, m["correlation_id"], m["causation_id"])
		assert.NotContains(t, m, "actor")
	}
}

// The conversation of a command with an id is made of the id: with a new one for each try, a
// command killed between its appends would leave its events in two conversations.
func TestACommandKilledBetweenItsAppendsStaysOneConversation(t *testing.T) {
	t.Parallel()
	store := memory.NewStore()
	bus := transfers(store, []error{nil, errors.New("killed")})
	_, err := bus.Dispatch(t.Context(), Transfer{"ada", "bob", 30}, command.ID("1"), command.Principal("ada"))
	require.Error(t, err)
	_, err = bus.Dispatch(t.Context(), Transfer{"ada", "bob", 30}, command.ID("1"), command.Principal("ada"))
	require.NoError(t, err)
	all := stored(t, store)
	require.Len(t, all, 2)
	assert.Equal(t, all[0], all[1])

	_, err = bus.Dispatch(t.Context(), Transfer{"ada", "bob", 30}, command.ID("1"), command.Principal("bob"))
	require.NoError(t, err)
	assert.NotEqual(t, all[0]["correlation_id"], stored(t, store)[2]["correlation_id"], "ids of two principals are two commands")
}

// What a command is remembered with covers the command alone.
func TestARepeatWithOtherMetadataIsARepeat(t *testing.T) {
	t.Parallel()
	bus := transfers(memory.NewStore(), nil)
	first, err := bus.Dispatch(t.Context(), Transfer{"ada", "bob", 30}, command.ID("1"), command.Correlation("request-1"))
	require.NoError(t, err)
	ctx := eventstore.WithMetadata(t.Context(), eventstore.Metadata{"host": "another"})
	again, err := bus.Dispatch(ctx, Transfer{"ada", "bob", 30}, command.ID("1"), command.Correlation("request-2"))
	require.NoError(t, err)
	assert.True(t, again.Repeated)
	assert.Equal(t, first.Token, again.Token)
}

func TestACommandDispatchedByAHandlerIsOfTheSameConversationAndCause(t *testing.T) {
	t.Parallel()
	store := memory.NewStore()
	bus := transfers(store, nil)
	type Close struct{ Account string }
	command.Handle(bus, "close", func(ctx context.Context, c Close) (eventstore.Receipt, error) {
		return bus.Dispatch(ctx, Transfer{c.Account, "bank", 1})
	})
	_, err := bus.Dispatch(t.Context(), Close{"ada"}, command.ID("7"), command.Principal("ada"), command.Correlation("request-1"))
	require.NoError(t, err)
	want := eventstore.Metadata{"correlation_id": "request-1", "causation_id": "7", "actor": "ada", "command": "transfer"}
	assert.Equal(t, []eventstore.Metadata{want, want}, stored(t, store))
}

// As a projection's handler does that reacts to an event by a command.
func TestACommandCausedByAnEventGoesOnWithItsConversation(t *testing.T) {
	t.Parallel()
	store := memory.NewStore()
	bus := transfers(store, nil)
	_, err := bus.Dispatch(t.Context(), Transfer{"ada", "bob", 30}, command.Principal("ada"), command.Correlation("request-1"))
	require.NoError(t, err)
	cause := recorded(t, store)[1]

	ctx := eventstore.CausedBy(t.Context(), cause)
	_, err = bus.Dispatch(ctx, Transfer{"bob", "tax", 3}, command.ID("tax of "+cause.ID.String()), command.Principal("tax office"))
	require.NoError(t, err)
	want := eventstore.Metadata{"correlation_id": "request-1", "causation_id": cause.ID.String(), "actor": "tax office", "command": "transfer"}
	assert.Equal(t, []eventstore.Metadata{want, want}, stored(t, store)[2:])
}

func TestMetadataGivenToExecuteHoldAgainstThoseOfTheBus(t *testing.T) {
	t.Parallel()
	store := memory.NewStore()
	accounts := aggregate.NewRepository(store, Accounts)
	bus := command.NewBus()
	command.Handle(bus, "pay", func(ctx context.Context, cmd Pay) (eventstore.Receipt, error) {
		return accounts.Execute(ctx, cmd.To, book(cmd.Cents),
			aggregate.Metadata(eventstore.Metadata{"actor": "the till", "till": "3"}))
	})
	_, err := bus.Dispatch(t.Context(), Pay{"ada", 5}, command.ID("1"), command.Principal("bob"), command.Correlation("request-1"))
	require.NoError(t, err)
	assert.Equal(t, []eventstore.Metadata{{
		"correlation_id": "request-1", "causation_id": "1", "command": "pay", "actor": "the till", "till": "3",
	}}, stored(t, store))
}

func TestNamesThatCannotStandInMetadataAreRefusedBeforeAnyHandler(t *testing.T) {
	t.Parallel()
	bus := command.NewBus()
	command.Handle(bus, "pay", func(context.Context, Pay) (eventstore.Receipt, error) {
		t.Error("the handler was called")
		return eventstore.Receipt{}, nil
	})
	long := strings.Repeat("x", eventstore.MaxNameBytes+1)
	for _, c := range []struct {
		option  command.DispatchOption
		matches error
		text    string
	}{
		{command.Principal(long), eventstore.ErrTooLarge, "dispatch pay: invalid command: principal: bytes too large: 256, the limit is 255"},
		{command.Principal("eve\nadmin"), eventstore.ErrInvalid, `dispatch pay: invalid command: invalid principal "eve\nadmin": it holds a character that is not printable`},
		{command.ID(long), eventstore.ErrTooLarge, "dispatch pay: invalid command: command id: bytes too large: 256, the limit is 255"},
		{command.Correlation("\xff"), eventstore.ErrInvalid, `dispatch pay: invalid command: invalid correlation id "\xff": it is not valid UTF-8`},
	} {
		_, err := bus.Dispatch(t.Context(), Pay{"ada", 5}, c.option)
		require.ErrorIs(t, err, command.ErrInvalidCommand)
		require.ErrorIs(t, err, c.matches)
		assert.EqualError(t, err, c.text)
	}
}

func TestMiddlewareSeesTheConversation(t *testing.T) {
	t.Parallel()
	var info command.Info
	bus := command.NewBus(func(next command.Handler) command.Handler {
		return func(ctx context.Context, cmd any) (eventstore.Receipt, error) {
			info, _ = command.InfoFrom(ctx)
			return next(ctx, cmd)
		}
	})
	command.Handle(bus, "pay", func(context.Context, Pay) (eventstore.Receipt, error) { return eventstore.Receipt{}, nil })
	_, err := bus.Dispatch(t.Context(), Pay{"ada", 5}, command.ID("1"), command.Correlation("request-1"))
	require.NoError(t, err)
	assert.Equal(t, command.Info{Name: "pay", ID: "1", Correlation: "request-1", Causation: "1"}, info)
}

func recorded(t *testing.T, store eventstore.LogReader) (all []eventstore.Recorded) {
	t.Helper()
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	for event, err := range read.Events() {
		require.NoError(t, err)
		all = append(all, event)
	}
	return all
}

func stored(t *testing.T, store eventstore.LogReader) (all []eventstore.Metadata) {
	t.Helper()
	for _, event := range recorded(t, store) {
		m, err := eventstore.ParseMetadata(event.Metadata)
		require.NoError(t, err)
		all = append(all, m)
	}
	return all
}
