package query_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/query"
)

type (
	double struct{ N int }
	label  struct{ N int }
)

func arithmetic() *query.Bus {
	bus := query.NewBus()
	query.Handle(bus, "double", func(_ context.Context, q double) (int, error) { return 2 * q.N, nil })
	query.Handle(bus, "label", func(_ context.Context, q label) (fmt.Stringer, error) { return nil, nil })
	return bus
}

func TestAQuestionReachesTheHandlerOfItsType(t *testing.T) {
	bus := arithmetic()
	got, err := query.Ask[int](t.Context(), bus, double{21})
	require.NoError(t, err)
	assert.Equal(t, 42, got)
	assert.Equal(t, []string{"double", "label"}, bus.Names())

	untyped, err := query.Ask[any](t.Context(), bus, double{21})
	require.NoError(t, err)
	assert.Equal(t, 42, untyped, "a gateway that knows no types may ask for any")

	none, err := query.Ask[fmt.Stringer](t.Context(), bus, label{1})
	require.NoError(t, err)
	assert.Nil(t, none, "a nil interface is an answer")
}

func TestTheBusSaysWhatItAnswers(t *testing.T) {
	bus := arithmetic()
	query.Handle(bus, "both", func(context.Context, howFar) (int, error) { return 0, nil }, query.Reads("orders", "stock"))
	assert.Equal(t, []query.Registration{
		{Name: "both", Question: reflect.TypeFor[howFar](), Answer: reflect.TypeFor[int](), Reads: []string{"orders", "stock"}},
		{Name: "double", Question: reflect.TypeFor[double](), Answer: reflect.TypeFor[int]()},
		{Name: "label", Question: reflect.TypeFor[label](), Answer: reflect.TypeFor[fmt.Stringer]()},
	}, bus.Queries())
}

func TestAQuestionThatCannotBeAnsweredSaysWhy(t *testing.T) {
	bus := arithmetic()
	_, err := query.Ask[int](t.Context(), bus, 7)
	require.EqualError(t, err, "no handler for query int; registered are: double, label")
	_, err = query.Ask[int](t.Context(), bus, &double{1})
	require.ErrorContains(t, err, "no handler for query *query_test.double")
	_, err = query.Ask[int](t.Context(), bus, nil)
	require.ErrorContains(t, err, "no handler for query <nil>")
	_, err = query.Ask[string](t.Context(), bus, double{1})
	require.EqualError(t, err, "query double answers with int, not string")
}

func TestAQuestionForTheWrongAnswerDoesNotReachTheHandler(t *testing.T) {
	bus, called := query.NewBus(), false
	query.Handle(bus, "q", func(context.Context, double) (int, error) { called = true; return 0, nil })
	_, err := query.Ask[string](t.Context(), bus, double{})
	require.Error(t, err)
	assert.False(t, called)
}

func TestAHandlersErrorComesBackUnderTheQuerysName(t *testing.T) {
	bus, refusal := query.NewBus(), errors.New("no such customer")
	query.Handle(bus, "customer", func(context.Context, double) (int, error) { return 1, refusal })
	got, err := query.Ask[int](t.Context(), bus, double{})
	require.ErrorIs(t, err, refusal)
	require.EqualError(t, err, "query customer: no such customer")
	assert.Zero(t, got)
}

func TestAHandlerThatForgetsAReaderFails(t *testing.T) {
	bus := query.NewBus()
	orders, stock := follows("orders", at(1, here)), follows("stock", at(1, here))
	query.Handle(bus, "q", func(ctx context.Context, _ double) (eventstore.Position, error) {
		return orders.read(ctx, here.Store)
	}, query.Reads("orders"), query.Reads("stock"))
	_, err := query.Ask[eventstore.Position](t.Context(), bus, double{})
	require.EqualError(t, err, `query q: the handler declares that it reads "stock" but opened no reader of it`)

	query.Handle(bus, "both", func(ctx context.Context, _ label) (eventstore.Position, error) {
		_, _ = stock.read(ctx, here.Store)
		return orders.read(ctx, here.Store)
	}, query.Reads("orders", "stock"))
	_, err = query.Ask[eventstore.Position](t.Context(), bus, label{})
	require.NoError(t, err)
}

func TestAMistakeInAHandlerIsFoundWhenItIsRegistered(t *testing.T) {
	answer := func(context.Context, double) (int, error) { return 0, nil }
	for says, register := range map[string]func(bus *query.Bus){
		`query.Handle: "again" (query_test.double) clashes with "double" (query_test.double)`: func(bus *query.Bus) { query.Handle(bus, "again", answer) },
		`query.Handle: "double" (string) clashes with "double" (query_test.double)`: func(bus *query.Bus) {
			query.Handle(bus, "double", func(context.Context, string) (int, error) { return 0, nil })
		},
		`query.Handle: "any": fmt.Stringer is an interface; questions are found by their own type`: func(bus *query.Bus) {
			query.Handle(bus, "any", func(context.Context, fmt.Stringer) (int, error) { return 0, nil })
		},
		`query.Handle: "nothing" has no function`: func(bus *query.Bus) { query.Handle[string, int](bus, "nothing", nil) },
	} {
		assert.PanicsWithValue(t, says, func() { register(arithmetic()) })
	}
}
