package command_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
)

type Deposit struct {
	Account string
	Cents   int64
}

type Close struct{ Account string }

func done(position eventstore.Position) eventstore.Receipt {
	return eventstore.Receipt{Token: eventstore.Token{Position: position}}
}

func TestACommandReachesItsHandler(t *testing.T) {
	bus := command.NewBus()
	var got []any
	command.Handle(bus, "account.deposit", func(_ context.Context, c Deposit) (eventstore.Receipt, error) {
		got = append(got, c)
		return done(7), nil
	})
	command.Handle(bus, "account.close", func(_ context.Context, c Close) (eventstore.Receipt, error) {
		got = append(got, c)
		return eventstore.Receipt{}, errors.New("not empty")
	})

	receipt, err := bus.Dispatch(t.Context(), Deposit{"ada", 5})
	require.NoError(t, err)
	assert.Equal(t, done(7), receipt)
	_, err = bus.Dispatch(t.Context(), Close{"ada"})
	require.EqualError(t, err, "dispatch account.close: not empty")
	assert.Equal(t, []any{Deposit{"ada", 5}, Close{"ada"}}, got)
	assert.Equal(t, []command.Registration{
		{Name: "account.close", GoType: reflect.TypeFor[Close]()},
		{Name: "account.deposit", GoType: reflect.TypeFor[Deposit]()},
	}, bus.Commands())
}

func TestAnUnknownCommandListsTheKnownOnes(t *testing.T) {
	bus := command.NewBus()
	_, err := bus.Dispatch(t.Context(), Close{})
	require.EqualError(t, err, "dispatch command_test.Close: no handler; the bus has none at all")

	command.Handle(bus, "account.deposit", func(context.Context, Deposit) (eventstore.Receipt, error) { return done(1), nil })
	for cmd, want := range map[any]string{
		Close{}:    "dispatch command_test.Close: no handler; the bus handles account.deposit (command_test.Deposit)",
		&Deposit{}: "dispatch *command_test.Deposit: got a pointer, account.deposit is handled as a value of command_test.Deposit",
		nil:        "dispatch <nil>: no handler; the bus handles account.deposit (command_test.Deposit)",
	} {
		_, err := bus.Dispatch(t.Context(), cmd)
		require.EqualError(t, err, want)
		_, typed := errors.AsType[*command.UnknownCommandError](err)
		assert.True(t, typed)
	}
}

func TestHandleSaysWhatIsWrong(t *testing.T) {
	deposit := func(context.Context, Deposit) (eventstore.Receipt, error) { return done(1), nil }
	bus := command.NewBus()
	command.Handle(bus, "account.deposit", deposit)
	for want, handle := range map[string]func(){
		`command.Handle(""): the name is empty`:                                             func() { command.Handle(bus, "", deposit) },
		`command.Handle("x"): the handler is nil`:                                           func() { command.Handle[Deposit](bus, "x", nil) },
		`command.Handle("x"): command_test.Deposit is already handled as "account.deposit"`: func() { command.Handle(bus, "x", deposit) },
		`command.Handle("account.deposit"): the name is taken by command_test.Deposit`: func() {
			command.Handle(bus, "account.deposit", func(context.Context, Close) (eventstore.Receipt, error) { return done(1), nil })
		},
		`command.Handle("x"): *command_test.Close is not a value type`: func() {
			command.Handle(bus, "x", func(context.Context, *Close) (eventstore.Receipt, error) { return done(1), nil })
		},
	} {
		assert.PanicsWithValue(t, want, handle)
	}
}

func TestTheFirstMiddlewareIsTheOutermost(t *testing.T) {
	var order []string
	note := func(name string) command.Middleware {
		return func(next command.Handler) command.Handler {
			return func(ctx context.Context, cmd any) (eventstore.Receipt, error) {
				order = append(order, name)
				return next(ctx, cmd)
			}
		}
	}
	bus := command.NewBus(note("outer"), note("inner"))
	command.Handle(bus, "account.deposit", func(context.Context, Deposit) (eventstore.Receipt, error) {
		order = append(order, "handler")
		return done(1), nil
	})
	_, err := bus.Dispatch(t.Context(), Deposit{})
	require.NoError(t, err)
	assert.Equal(t, []string{"outer", "inner", "handler"}, order)
}

func TestMiddlewareThatReplacesACommandByAnotherTypeIsToldSo(t *testing.T) {
	bus := command.NewBus(func(next command.Handler) command.Handler {
		return func(ctx context.Context, _ any) (eventstore.Receipt, error) { return next(ctx, Close{}) }
	})
	command.Handle(bus, "account.deposit", func(context.Context, Deposit) (eventstore.Receipt, error) { return done(1), nil })
	_, err := bus.Dispatch(t.Context(), Deposit{})
	require.EqualError(t, err, "dispatch account.deposit: middleware replaced the command_test.Deposit by a command_test.Close")
}

func TestHandlersCanAskForTheInfo(t *testing.T) {
	bus := command.NewBus()
	var infos []command.Info
	note := func(ctx context.Context) {
		info, ok := command.InfoFrom(ctx)
		require.True(t, ok)
		infos = append(infos, info)
	}
	command.Handle(bus, "account.close", func(ctx context.Context, _ Close) (eventstore.Receipt, error) {
		note(ctx)
		return bus.Dispatch(ctx, Deposit{}) // what is left goes elsewhere
	})
	command.Handle(bus, "account.deposit", func(ctx context.Context, _ Deposit) (eventstore.Receipt, error) {
		note(ctx)
		return done(1), nil
	})
	_, err := bus.Dispatch(t.Context(), Close{}, command.ID("7"), command.Principal("ada"), command.Correlation("r"))
	require.NoError(t, err)
	assert.Equal(t, []command.Info{
		{Name: "account.close", ID: "7", Principal: "ada", Correlation: "r", Causation: "7"},
		{Name: "account.deposit", Principal: "ada", Correlation: "r", Causation: "7"},
	}, infos)

	_, ok := command.InfoFrom(t.Context())
	assert.False(t, ok)
}

func TestACommandWithAnIDMustEncode(t *testing.T) {
	type Odd struct{ C chan int }
	bus := command.NewBus()
	command.Handle(bus, "odd", func(context.Context, Odd) (eventstore.Receipt, error) { return done(1), nil })
	_, err := bus.Dispatch(t.Context(), Odd{}, command.ID("1"))
	require.ErrorIs(t, err, command.ErrInvalidCommand)
	_, err = bus.Dispatch(t.Context(), Odd{})
	require.NoError(t, err, "without an id nothing is hashed")
}
