package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
)

// command is a context for handling the command, once.
func command(t testing.TB, id string) context.Context {
	return eventstore.WithCommand(t.Context(), "ada", id, eventstore.HashCommand("transfer", []byte(`{}`)))
}

// The promises that hold under a command id, each as a function that says how it was
// broken. They are run on a good store and on twins with a planted bug.

// aRepeatIsNotRefused: Withdraw(all) succeeded, the answer was lost, and the caller repeats it.
func aRepeatIsNotRefused(t testing.TB, store eventstore.Store) error {
	accounts := aggregate.NewRepository(store, Accounts)
	first, err := accounts.Execute(t.Context(), "1", Withdraw(100), aggregate.CommandID("w"))
	if err != nil {
		return err
	}
	again, err := accounts.Execute(t.Context(), "1", Withdraw(100), aggregate.CommandID("w"))
	if err != nil {
		return err
	}
	if !again.Repeated || again.Token != first.Token {
		return fmt.Errorf("the repeat got %+v, the first %+v", again, first)
	}
	return nil
}

// aRepeatMayDecideOtherwise: the balance has moved, so the repeated decision comes to
// another event. It is the same command.
func aRepeatMayDecideOtherwise(t testing.TB, store eventstore.Store) error {
	accounts := aggregate.NewRepository(store, Accounts)
	withdrawHalf := func(a Account) ([]Event, error) { return []Event{Withdrawn{a.Balance / 2}}, nil }
	for n := range 2 {
		receipt, err := accounts.Execute(command(t, "half"), "1", withdrawHalf)
		if err != nil {
			return err
		}
		if receipt.Repeated != (n == 1) {
			return fmt.Errorf("try %d: Repeated is %t", n+1, receipt.Repeated)
		}
	}
	if got := balance(t, store, "1"); got != 50 {
		return fmt.Errorf("balance %d, want 50", got)
	}
	return nil
}

// eachAppendOfACommandHasItsID: a command deposits twice on account 1 and once on
// account 2, and is killed before any of its appends, then repeated.
func eachAppendOfACommandHasItsID(t testing.TB, store eventstore.Store) error {
	accounts := aggregate.NewRepository(store, Accounts)
	killed := errors.New("killed")
	handle := func(steps int) error {
		ctx := command(t, "three")
		for n, id := range []string{"1", "2", "1"} {
			if n == steps {
				return killed
			}
			if _, err := accounts.Execute(ctx, id, Deposit(5)); err != nil {
				return err
			}
		}
		return nil
	}
	for steps := range 4 {
		if err := handle(steps); err != nil && !errors.Is(err, killed) {
			return err
		}
	}
	if one, two := balance(t, store, "1"), balance(t, store, "2"); one != 110 || two != 5 {
		return fmt.Errorf("balances %d and %d, want 110 and 5", one, two)
	}
	return nil
}

var promises = map[string]func(testing.TB, eventstore.Store) error{
	"a repeat is not refused":             aRepeatIsNotRefused,
	"a repeat may decide otherwise":       aRepeatMayDecideOtherwise,
	"each append of a command has its id": eachAppendOfACommandHasItsID,
}

func TestPromisesUnderACommandID(t *testing.T) {
	for name, promise := range promises {
		t.Run(name, func(t *testing.T) {
			store, _ := newBank(t)
			require.NoError(t, promise(t, store))
		})
	}
}

// Each twin has one planted bug, and the promise that is there to find it does.
func TestPlantedBugsAreFound(t *testing.T) {
	withoutLookup := func(eventstore.Appender, context.Context, eventstore.Command) (eventstore.Receipt, bool, error) {
		return eventstore.Receipt{}, false, nil
	}
	rewriting := func(rewrite func(*eventstore.AppendRequest)) func(eventstore.Appender, context.Context, eventstore.AppendRequest) (eventstore.Receipt, error) {
		return func(next eventstore.Appender, ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
			rewrite(&r)
			return next.Append(ctx, r)
		}
	}
	for name, twin := range map[string]struct {
		bug     func(*hooked)
		promise string
		finds   string
	}{
		"refuse without lookup": {
			func(h *hooked) { h.lookup = withoutLookup },
			"a repeat is not refused", "insufficient funds",
		},
		"hash over events": {
			func(h *hooked) {
				h.append = rewriting(func(r *eventstore.AppendRequest) {
					r.Command.Hash = eventstore.HashCommand("", r.Writes[0].Events[0].Data)
				})
			},
			"a repeat may decide otherwise", eventstore.ErrIdempotencyMismatch.Error(),
		},
		"one id for the whole command": {
			func(h *hooked) {
				h.append = rewriting(func(r *eventstore.AppendRequest) { r.Command.ID = eventstore.NewCommandID("three") })
			},
			"each append of a command has its id", "balances",
		},
		"an id for each stream, not each append": {
			func(h *hooked) {
				h.append = rewriting(func(r *eventstore.AppendRequest) {
					r.Command.ID = eventstore.DeriveCommandID("ada", "three", []string{string(r.Writes[0].Stream)}, 0)
				})
			},
			"each append of a command has its id", "balances 105 and 5",
		},
	} {
		t.Run(name, func(t *testing.T) {
			store, _ := newBank(t)
			planted := hooked{Store: store}
			twin.bug(&planted)
			require.ErrorContains(t, promises[twin.promise](t, planted), twin.finds)
		})
	}
}

func TestARefusalIsNotRemembered(t *testing.T) {
	_, accounts := newBank(t)
	_, err := accounts.Execute(t.Context(), "1", Withdraw(101), aggregate.CommandID("w"))
	require.ErrorIs(t, err, ErrInsufficient)
	_, err = accounts.Execute(t.Context(), "1", Deposit(1))
	require.NoError(t, err)
	receipt, err := accounts.Execute(t.Context(), "1", Withdraw(101), aggregate.CommandID("w"))
	require.NoError(t, err)
	assert.False(t, receipt.Repeated)
}

func TestADecisionWithoutEventsIsRemembered(t *testing.T) {
	store, accounts := newBank(t)
	first, err := accounts.Execute(t.Context(), "1", nothing, aggregate.CommandID("n"))
	require.NoError(t, err)
	assert.False(t, first.Repeated)

	again, err := accounts.Execute(t.Context(), "1", Deposit(5), aggregate.CommandID("n"))
	require.NoError(t, err)
	assert.True(t, again.Repeated)
	assert.Equal(t, int64(100), balance(t, store, "1"))
}

func TestADecisionWithoutEventsIsMadeOnTheNewestState(t *testing.T) {
	store, accounts := newBank(t)
	var seen []int64
	_, err := accounts.Execute(t.Context(), "1", moved(t, store, "1", 1, func(a Account) ([]Event, error) {
		seen = append(seen, a.Balance)
		return nil, nil
	}), aggregate.CommandID("n"))
	require.NoError(t, err)
	assert.Equal(t, []int64{100, 101}, seen)
}

func TestARepeatIsFoundWhateverElseFails(t *testing.T) {
	t.Run("the stream was deleted since", func(t *testing.T) {
		store, accounts := newBank(t)
		_, err := accounts.Execute(t.Context(), "1", Deposit(5), aggregate.CommandID("d"))
		require.NoError(t, err)
		_, err = store.DeleteStream(t.Context(), "account-1", eventstore.Any)
		require.NoError(t, err)

		receipt, err := accounts.Execute(t.Context(), "1", Deposit(5), aggregate.CommandID("d"))
		require.NoError(t, err)
		assert.True(t, receipt.Repeated)
		_, err = accounts.Execute(t.Context(), "1", Deposit(5), aggregate.CommandID("other"))
		require.ErrorIs(t, err, eventstore.ErrStreamDeleted)
	})
	t.Run("the expected version has passed", func(t *testing.T) {
		_, accounts := newBank(t)
		for n := range 2 {
			receipt, err := accounts.Execute(t.Context(), "1", Deposit(5), aggregate.CommandID("d"), aggregate.ExpectVersion(1))
			require.NoError(t, err)
			assert.Equal(t, n == 1, receipt.Repeated)
		}
	})
}

func TestARefusalIsNotReportedIfTheLookupFails(t *testing.T) {
	store, _ := newBank(t)
	down := errors.New("connection lost")
	blind := hooked{Store: store, lookup: func(eventstore.Appender, context.Context, eventstore.Command) (eventstore.Receipt, bool, error) {
		return eventstore.Receipt{}, false, down
	}}
	_, err := aggregate.NewRepository(blind, Accounts).Execute(t.Context(), "1", Withdraw(101), aggregate.CommandID("w"))
	require.ErrorIs(t, err, down)
	require.NotErrorIs(t, err, ErrInsufficient)
}

func TestAnotherCommandUnderTheSameIDIsAMismatch(t *testing.T) {
	_, accounts := newBank(t)
	under := func(payload string) context.Context {
		return eventstore.WithCommand(t.Context(), "ada", "x", eventstore.HashCommand("withdraw", []byte(payload)))
	}
	_, err := accounts.Execute(under("60"), "1", Withdraw(60))
	require.NoError(t, err)
	_, err = accounts.Execute(under("10"), "1", Withdraw(10))
	require.ErrorIs(t, err, eventstore.ErrIdempotencyMismatch)
	_, err = accounts.Execute(under("70"), "1", Withdraw(70))
	require.ErrorIs(t, err, eventstore.ErrIdempotencyMismatch, "also when the decision refuses")
}

func TestTheOptionWinsOverTheContext(t *testing.T) {
	_, accounts := newBank(t)
	ctx := command(t, "from the bus")
	for range 2 {
		_, err := accounts.Execute(ctx, "1", Deposit(1), aggregate.CommandID("mine"))
		require.NoError(t, err)
	}
	receipt, err := accounts.Execute(t.Context(), "1", Deposit(1), aggregate.CommandID("mine"))
	require.NoError(t, err)
	assert.True(t, receipt.Repeated)
	receipt, err = accounts.Execute(ctx, "1", Deposit(1), aggregate.CommandID(""))
	require.NoError(t, err)
	assert.False(t, receipt.Repeated, "an empty option is none")
	receipt, err = accounts.Execute(command(t, "from the bus"), "1", Deposit(1))
	require.NoError(t, err)
	assert.True(t, receipt.Repeated, "the first append under the context's command, made just before")
}

func TestTheOrderOfPlansDoesNotMakeAnotherCommand(t *testing.T) {
	store, accounts := newBank(t)
	plans := transfer(accounts, 60)
	_, err := aggregate.ExecuteAll(command(t, "x"), store, plans)
	require.NoError(t, err)
	receipt, err := aggregate.ExecuteAll(command(t, "x"), store, []aggregate.Plan{plans[1], plans[0]})
	require.NoError(t, err)
	assert.True(t, receipt.Repeated)
	assert.Equal(t, []int64{40, 60}, []int64{balance(t, store, "1"), balance(t, store, "2")})
}

func TestAnUnknownOutcomeIsSettledUnderACommandID(t *testing.T) {
	lost, taken, notTaken := eventstore.ErrOutcomeUnknown, true, false
	for name, c := range map[string]struct {
		answers []answer
		id      string
		want    error
		balance int64
	}{
		"it was appended":                       {[]answer{{lost, taken}}, "w", nil, 40},
		"it was not":                            {[]answer{{lost, notTaken}}, "w", nil, 40},
		"unknown many times":                    {[]answer{{lost, notTaken}, {lost, taken}, {lost, taken}}, "w", nil, 40},
		"busy in between":                       {[]answer{{lost, taken}, {eventstore.ErrStoreBusy, notTaken}}, "w", nil, 40},
		"unknown for good":                      {[]answer{{lost, taken}, {lost, taken}, {lost, taken}, {lost, taken}, {lost, taken}}, "w", lost, 40},
		"busy for good, so the first may stand": {[]answer{{lost, taken}, {eventstore.ErrStoreBusy, notTaken}, {eventstore.ErrStoreBusy, notTaken}, {eventstore.ErrStoreBusy, notTaken}, {eventstore.ErrStoreBusy, notTaken}}, "w", lost, 40},
		"without an id, appended":               {[]answer{{lost, taken}}, "", lost, 40},
		"without an id, not appended":           {[]answer{{lost, notTaken}}, "", lost, 100},
		"just busy":                             {[]answer{{eventstore.ErrStoreBusy, notTaken}}, "w", eventstore.ErrStoreBusy, 100},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, _ := newBank(t)
				flaky := hooked{Store: store, append: answers(c.answers...)}
				_, err := aggregate.NewRepository(flaky, Accounts).Execute(t.Context(), "1", Withdraw(60), aggregate.CommandID(c.id))
				if c.want == nil {
					require.NoError(t, err)
				}
				require.ErrorIs(t, err, c.want)
				assert.Equal(t, c.balance, balance(t, store, "1"))
			})
		})
	}
}

func TestAnUnknownOutcomeStaysUnknownWhenTimeIsUp(t *testing.T) {
	store, _ := newBank(t)
	ctx, cancel := context.WithCancel(t.Context())
	flaky := hooked{Store: store, append: func(eventstore.Appender, context.Context, eventstore.AppendRequest) (eventstore.Receipt, error) {
		cancel()
		return eventstore.Receipt{}, eventstore.ErrOutcomeUnknown
	}}
	_, err := aggregate.NewRepository(flaky, Accounts).Execute(ctx, "1", Withdraw(60), aggregate.CommandID("w"))
	require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown)
	require.ErrorIs(t, err, context.Canceled)
}

func TestIDsOfOnePrincipalDoNotTouchAnothers(t *testing.T) {
	accounts := aggregate.NewRepository(memory.NewStore(), Accounts)
	for _, principal := range []string{"ada", "bob"} {
		ctx := eventstore.WithCommand(t.Context(), principal, "1", eventstore.CommandHash{})
		receipt, err := accounts.Execute(ctx, "1", Deposit(1))
		require.NoError(t, err)
		assert.False(t, receipt.Repeated)
	}
}

// An id for each try would be another id after a conflict, and a repeat that meets no
// conflict would not find it.
func TestTheTriesOfOneExecuteShareTheirID(t *testing.T) {
	store, accounts := newBank(t)
	_, err := accounts.Execute(command(t, "x"), "1", moved(t, store, "1", 2, Deposit(10)))
	require.NoError(t, err)
	receipt, err := accounts.Execute(command(t, "x"), "1", Deposit(10))
	require.NoError(t, err)
	assert.True(t, receipt.Repeated)
	assert.Equal(t, int64(112), balance(t, store, "1"))
}
