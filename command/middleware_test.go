package command_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
)

var errNegative = errors.New("cents must be positive")

func (d Deposit) Validate() error {
	if d.Cents < 0 {
		return errNegative
	}
	return nil
}

// handled returns a bus with the middleware whose deposits go to handle.
func handled(handle func(context.Context, Deposit) (eventstore.Receipt, error), middleware ...command.Middleware) *command.Bus {
	bus := command.NewBus(middleware...)
	command.Handle(bus, "account.deposit", handle)
	return bus
}

func succeed(context.Context, Deposit) (eventstore.Receipt, error) { return done(7), nil }

func TestValidateRefusesWhatSaysItIsInvalid(t *testing.T) {
	bus := handled(succeed, command.Validate())
	_, err := bus.Dispatch(t.Context(), Deposit{Cents: -1})
	require.ErrorIs(t, err, command.ErrInvalidCommand)
	require.ErrorIs(t, err, errNegative)
	require.EqualError(t, err, "dispatch account.deposit: invalid command: cents must be positive")
	_, err = bus.Dispatch(t.Context(), Deposit{Cents: 1})
	require.NoError(t, err)

	command.Handle(bus, "account.close", func(context.Context, Close) (eventstore.Receipt, error) { return done(1), nil })
	_, err = bus.Dispatch(t.Context(), Close{})
	require.NoError(t, err, "it cannot say, so it passes")
}

func TestAuthorizeAsksForEachCommand(t *testing.T) {
	errStranger := errors.New("not your account")
	bus := handled(succeed, command.Authorize(func(_ context.Context, principal, name string, cmd any) error {
		assert.Equal(t, "account.deposit", name)
		if cmd.(Deposit).Account != principal {
			return errStranger
		}
		return nil
	}))
	_, err := bus.Dispatch(t.Context(), Deposit{Account: "ada"}, command.Principal("ada"))
	require.NoError(t, err)
	_, err = bus.Dispatch(t.Context(), Deposit{Account: "ada"}, command.Principal("eve"))
	require.ErrorIs(t, err, errStranger)
}

func TestTimeoutEndsTheHandlersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		bus := handled(func(ctx context.Context, _ Deposit) (eventstore.Receipt, error) {
			<-ctx.Done()
			return eventstore.Receipt{}, ctx.Err()
		}, command.Timeout(time.Minute))
		_, err := bus.Dispatch(t.Context(), Deposit{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Minute, time.Since(start))
	})
}

func TestRecoverTurnsAPanicIntoAnError(t *testing.T) {
	bug := errors.New("bug")
	bus := handled(func(context.Context, Deposit) (eventstore.Receipt, error) { panic(bug) }, command.Recover())
	_, err := bus.Dispatch(t.Context(), Deposit{})
	require.ErrorIs(t, err, bug)
	p, typed := errors.AsType[*command.PanicError](err)
	require.True(t, typed)
	assert.Contains(t, string(p.Stack), "middleware_test.go")
}

func TestLogWritesOneRecordPerCommand(t *testing.T) {
	var out bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "took" {
				return slog.Attr{}
			}
			return a
		},
	}))
	fail := false
	bus := handled(func(context.Context, Deposit) (eventstore.Receipt, error) {
		if fail {
			return eventstore.Receipt{}, errNegative
		}
		return done(7), nil
	}, command.Log(logger))

	_, _ = bus.Dispatch(t.Context(), Deposit{}, command.ID("1"), command.Principal("ada"), command.Correlation("r"))
	fail = true
	_, _ = bus.Dispatch(t.Context(), Deposit{}, command.Correlation("r"))
	assert.Equal(t, `level=INFO msg="command handled" command=account.deposit id=1 principal=ada correlation=r position=7 repeated=false
level=WARN msg="command failed" command=account.deposit id="" principal="" correlation=r error="cents must be positive"
`, out.String())
}

func TestRetryTriesAgainWhatMayPass(t *testing.T) {
	busy, unknown, refused := eventstore.ErrStoreBusy, eventstore.ErrOutcomeUnknown, errors.New("refused")
	for name, c := range map[string]struct {
		id    string
		fails []error
		tries int
		want  []error
	}{
		"busy":                      {"1", []error{busy, busy}, 3, nil},
		"unknown":                   {"1", []error{unknown}, 2, nil},
		"busy for good":             {"1", []error{busy, busy, busy, busy}, 3, []error{busy}},
		"unknown, then busy":        {"1", []error{unknown, busy, busy}, 3, []error{unknown, busy}},
		"unknown, then refused":     {"1", []error{unknown, refused}, 2, []error{unknown, refused}},
		"refused":                   {"1", []error{refused}, 1, []error{refused}},
		"busy, without an id":       {"", []error{busy}, 1, []error{busy}},
		"unknown, without an id":    {"", []error{unknown}, 1, []error{unknown}},
		"success at the first call": {"1", nil, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				bus := handled(func(context.Context, Deposit) (eventstore.Receipt, error) {
					if tries++; tries <= len(c.fails) {
						return eventstore.Receipt{}, c.fails[tries-1]
					}
					return done(7), nil
				}, command.Retry(3))
				start := time.Now()
				_, err := bus.Dispatch(t.Context(), Deposit{}, command.ID(c.id))
				assert.Equal(t, c.tries, tries)
				assert.Equal(t, len(c.want) == 0, err == nil)
				for _, want := range c.want {
					assert.ErrorIs(t, err, want)
				}
				assert.Less(t, time.Since(start), 30*time.Millisecond, "pauses of at most 10 and 20 ms")
			})
		})
	}
}

func TestRetryStopsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	bus := handled(func(context.Context, Deposit) (eventstore.Receipt, error) {
		cancel()
		return eventstore.Receipt{}, eventstore.ErrStoreBusy
	}, command.Retry(3))
	_, err := bus.Dispatch(ctx, Deposit{}, command.ID("1"))
	require.ErrorIs(t, err, eventstore.ErrStoreBusy)
}
