package query_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/query"
)

// overview answers with the positions of two models.
func overview(first, second *model) *query.Bus {
	bus := query.NewBus()
	query.Handle(bus, "overview", func(ctx context.Context, _ double) ([2]eventstore.Position, error) {
		a, err := first.read(ctx, here.Store)
		b, err2 := second.read(ctx, here.Store)
		return [2]eventstore.Position{a, b}, errors.Join(err, err2)
	}, query.Reads(first.name, second.name))
	return bus
}

func TestAnAnswerFromSeveralModelsTellsWhatAllIncludeAndAfterWhatNoneIsOlder(t *testing.T) {
	t.Parallel()
	bus := overview(follows("orders", at(9, here)), follows("stock", at(5, here), at(3, there)))
	var told query.Freshness
	_, err := query.Ask[[2]eventstore.Position](t.Context(), bus, double{}, query.After(at(4, here)), query.Tell(&told))
	require.NoError(t, err)
	assert.Equal(t, query.Freshness{
		Includes: []eventstore.Token{at(5, here), at(3, there)},
		After:    []eventstore.Token{at(9, here), at(3, there)},
	}, told)
}

func TestAnAnswerFromTwoLivesIncludesWhatTheOlderOneHad(t *testing.T) {
	t.Parallel()
	next := eventstore.Identity{Store: here.Store, Incarnation: here.Incarnation + 1}
	bus := overview(follows("orders", at(9, here)), follows("stock", at(5, next)))
	var told query.Freshness
	_, err := query.Ask[[2]eventstore.Position](t.Context(), bus, double{}, query.Tell(&told))
	require.NoError(t, err)
	assert.Equal(t, query.Freshness{Includes: []eventstore.Token{at(9, here)}, After: []eventstore.Token{at(5, next)}}, told)
}

// A user reads, and reads again from a node that is behind.
func checkMonotonic(t *testing.T, next func(told query.Freshness) []eventstore.Token) error {
	var told query.Freshness
	before, err := query.Ask[[2]eventstore.Position](t.Context(), overview(follows("orders", at(9, here)), follows("stock", at(5, here))), double{}, query.Tell(&told))
	require.NoError(t, err)
	behind := overview(follows("orders", at(5, here)), follows("stock", at(5, here)))
	after, err := query.Ask[[2]eventstore.Position](t.Context(), behind, double{}, query.After(next(told)...), query.Wait(0))
	if _, late := errors.AsType[*query.NotCaughtUpError](err); late {
		return nil
	}
	require.NoError(t, err)
	if after[0] < before[0] || after[1] < before[1] {
		return errors.New("the second answer is older than the first")
	}
	return nil
}

func TestAnAnswerAfterAnAnswerIsNoOlder(t *testing.T) {
	t.Parallel()
	require.NoError(t, checkMonotonic(t, func(told query.Freshness) []eventstore.Token { return told.After }))
	err := checkMonotonic(t, func(told query.Freshness) []eventstore.Token { return told.Includes })
	require.Error(t, err, "the mutant survived")
	t.Logf("caught: %v", err)
}

func TestALenientQuestionLeavesTokensToOthers(t *testing.T) {
	t.Parallel()
	bus := busOver(follows("orders", at(4, here)))
	var told query.Freshness
	_, err := ask(t.Context(), bus, query.After(at(4, here), at(8, there)), query.Lenient(), query.Tell(&told))
	require.NoError(t, err)
	assert.Equal(t, []eventstore.Token{at(4, here)}, told.Includes, "so it does not include the other")
	assert.Empty(t, told.Missing)

	_, err = ask(t.Context(), bus, query.After(at(5, here), at(8, there)), query.Lenient(), query.Wait(0))
	_, late := errors.AsType[*query.NotCaughtUpError](err)
	assert.True(t, late, "what it follows it must have: %v", err)
	_, err = ask(t.Context(), bus, query.After(at(8, there)))
	require.ErrorIs(t, err, eventstore.ErrForeignToken)
}

// elsewhere answers from another service that includes so much.
func elsewhere(applied ...eventstore.Token) *query.Bus {
	bus := query.NewBus()
	query.Handle(bus, "elsewhere", func(ctx context.Context, _ double) (int, error) {
		query.Include(ctx, "billing", applied...)
		return 1, nil
	}, query.Reads("billing"))
	return bus
}

func TestAReaderThatAnswersFromElsewhereSaysWhatItIncludes(t *testing.T) {
	t.Parallel()
	older := eventstore.Identity{Store: here.Store, Incarnation: here.Incarnation - 1}
	var told query.Freshness
	asked := func(bus *query.Bus, options ...query.AskOption) error {
		_, err := query.Ask[int](t.Context(), bus, double{}, append(options, query.After(at(4, here)))...)
		return err
	}
	require.NoError(t, asked(elsewhere(at(4, here), eventstore.Token{}, at(7, there)), query.Tell(&told)))
	assert.Equal(t, []eventstore.Token{at(4, here), at(7, there)}, told.Includes)

	require.ErrorIs(t, asked(elsewhere(at(7, there))), eventstore.ErrForeignToken)
	require.ErrorIs(t, asked(elsewhere()), eventstore.ErrForeignToken, "it says nothing")
	require.EqualError(t, asked(elsewhere(at(3, here))),
		"query elsewhere: a reader answered with less than what is required of it, it lacks "+at(4, here).String())
	require.NoError(t, asked(elsewhere(at(3, here)), query.OrStale(&told)))
	assert.Equal(t, []eventstore.Token{at(4, here)}, told.Missing)

	_, err := query.Ask[int](t.Context(), elsewhere(at(9, here)), double{}, query.After(at(1, older)), query.OrStale(&told))
	require.ErrorIs(t, err, eventstore.ErrDiverged)

	query.Include(t.Context(), "billing", at(1, here)) // outside of Ask nobody is told
}

func TestWhoIsToldOfACallThatFailsIsToldNothing(t *testing.T) {
	t.Parallel()
	told := query.Freshness{AsOf: time.Unix(1, 0)}
	before := told
	bus, refusal := query.NewBus(), errors.New("no such customer")
	m := follows("orders", at(4, here))
	query.Handle(bus, "q", func(ctx context.Context, _ double) (int, error) {
		_, err := m.read(ctx, here.Store)
		return 0, errors.Join(err, refusal)
	})
	_, err := query.Ask[int](t.Context(), bus, double{}, query.Tell(&told))
	require.ErrorIs(t, err, refusal)
	assert.Equal(t, before, told)
	_, err = ask(t.Context(), busOver(m), query.Tell(nil))
	require.NoError(t, err)
}
