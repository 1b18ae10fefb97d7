package commandtest_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/commandtest"
)

// losing is a store in front of which every fourth append cuts its node: by turns before and after
// it is made.
type losing struct {
	eventstore.Store
	node    *commandtest.Node
	appends atomic.Int64
	every   int64
}

func (l *losing) Append(ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
	n := l.appends.Add(1)
	if n%l.every != 0 {
		return l.Store.Append(ctx, r)
	}
	if n/l.every%2 == 0 {
		l.node.Cut()
		return eventstore.Receipt{}, eventstore.ErrOutcomeUnknown
	}
	_, _ = l.Store.Append(ctx, r)
	l.node.Cut()
	return eventstore.Receipt{}, eventstore.ErrOutcomeUnknown
}

func losingNode(store eventstore.Store, every int64) *commandtest.Node {
	l := &losing{Store: store, every: every}
	l.node = commandtest.NewNode(l)
	return l.node
}

func TestCommandsThatLoseTheirAnswersTakeEffectOnce(t *testing.T) {
	store := memory.NewStore()
	nodes := []*commandtest.Node{losingNode(store, 4), losingNode(store, 4)}
	answers, err := commandtest.AskAll(t.Context(), commandtest.Patiently(nodes...), 6, 24)
	require.NoError(t, err)
	require.Empty(t, commandtest.Check(logOf(t, store), answers))
	require.Empty(t, commandtest.CheckRepeats(t.Context(), store, answers))
	t.Log(commandtest.Count(answers))
	require.Greater(t, nodes[0].Lost()+nodes[1].Lost(), 20)
}

// Each mutant has one planted bug, and is caught by the first answer that is lost.
func TestMutantsThatRepeatACommandAreCaught(t *testing.T) {
	for name, mutant := range map[string]struct {
		kind     commandtest.Kind // of the command whose answer is lost
		store    func(eventstore.Store) eventstore.Store
		dispatch func(...*commandtest.Node) commandtest.Dispatch
		finds    string
	}{
		"the client repeats under another id": {commandtest.Deposit, same, commandtest.Blindly, "has no answer"},
		"a refusal is not looked up":          {commandtest.Withdraw, func(s eventstore.Store) eventstore.Store { return forgetful{s} }, commandtest.Patiently, "was refused"},
		"an append has no id":                 {commandtest.Deposit, func(s eventstore.Store) eventstore.Store { return anonymous{s} }, commandtest.Patiently, "2 events in the log, want 1"},
		"a repeat gets the receipt of now":    {commandtest.Deposit, func(s eventstore.Store) eventstore.Store { return ofNow{s} }, commandtest.Patiently, "the receipt of"},
		"none, of a deposit":                  {commandtest.Deposit, same, commandtest.Patiently, ""},
		"none, of a withdrawal":               {commandtest.Withdraw, same, commandtest.Patiently, ""},
	} {
		t.Run(name, func(t *testing.T) {
			store := memory.NewStore()
			good := commandtest.NewNode(store)
			first := commandtest.Command{Principal: "ada", ID: "1", Kind: commandtest.Deposit, To: "1", Cents: 25}
			answers := []commandtest.Answered{ask(t, commandtest.Patiently(good), first)}

			// The first node loses its answer; another command comes, and the second node repeats it.
			lost, between := first, first
			lost.ID, lost.Kind, lost.From = "2", mutant.kind, "1"
			between.ID, between.Cents = "3", 1
			dispatch := mutant.dispatch(losingNode(mutant.store(store), 1), commandtest.NewNode(mutant.store(store)))
			answered := ask(t, func(ctx context.Context, c commandtest.Command, nth int) (eventstore.Receipt, error) {
				if nth == 1 {
					answers = append(answers, ask(t, commandtest.Patiently(good), between))
				}
				return dispatch(ctx, c, nth)
			}, lost)
			findings := commandtest.Check(logOf(t, store), append(answers, answered))
			if mutant.finds == "" {
				require.Empty(t, findings)
				return
			}
			require.Contains(t, strings.Join(findings, "\n"), mutant.finds)
		})
	}
}

func ask(t *testing.T, dispatch commandtest.Dispatch, c commandtest.Command) commandtest.Answered {
	t.Helper()
	answered, err := commandtest.Ask(t.Context(), dispatch, c)
	require.NoError(t, err)
	return answered
}

func same(s eventstore.Store) eventstore.Store { return s }

type forgetful struct{ eventstore.Store }

func (forgetful) LookupCommand(context.Context, eventstore.Command) (eventstore.Receipt, bool, error) {
	return eventstore.Receipt{}, false, nil
}

type anonymous struct{ eventstore.Store }

func (a anonymous) Append(ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
	r.Command = eventstore.Command{}
	return a.Store.Append(ctx, r)
}

type ofNow struct{ eventstore.Store }

func (o ofNow) Append(ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
	receipt, err := o.Store.Append(ctx, r)
	if err == nil && receipt.Repeated {
		receipt.Token, err = o.Store.Head(ctx)
	}
	return receipt, err
}

func logOf(t *testing.T, store eventstore.LogReader) (log []commandtest.Event) {
	t.Helper()
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	for e, err := range read.Events() {
		require.NoError(t, err)
		log = append(log, commandtest.Event{Position: e.Position, Stream: e.Stream, Version: e.Version, Type: e.Type, Data: e.Data})
	}
	return log
}
