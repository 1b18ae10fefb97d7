package otelhooks_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

func TestStaleAnswersAndAgesAreTold(t *testing.T) {
	t.Parallel()
	told, store, sink := listen(t), memory.NewStore(), memory.NewSink()
	runner := projection.Runner{Log: store, Events: Accounts.Events(), Tasks: []projection.Task{projection.Into(sink, balances)}}
	require.NoError(t, runner.CatchUp(t.Context()))
	queries := query.NewBus(told.Queries())
	queries.Follow(query.NewHead(store))
	query.Handle(queries, "balances", func(ctx context.Context, account string) (map[string]Balance, error) {
		return projection.NewReader(sink, balances).GetMany(ctx, account)
	}, query.Reads("balances"))
	ask := func(options ...query.AskOption) error {
		_, err := query.Ask[map[string]Balance](t.Context(), queries, "ada", append(options, query.Wait(0))...)
		return err
	}
	require.NoError(t, ask())
	require.NoError(t, ask(query.MaxStale(0)))
	_, err := store.Append(t.Context(), appendOf(eventstore.EventData{Type: "account.deposited", Data: []byte("{}")}))
	require.NoError(t, err)
	var freshness query.Freshness
	require.NoError(t, ask(query.MaxStale(0), query.OrStale(&freshness)))
	require.Error(t, ask(query.MaxStale(0)))

	var spans []map[string]any
	for _, span := range told.named("query balances") {
		of := attributes(span)
		if age, known := of["leftfold.query.age"]; known {
			assert.GreaterOrEqual(t, age, 0.0)
			of["leftfold.query.age"] = "known"
		}
		delete(of, "leftfold.query.waited")
		spans = append(spans, of)
	}
	assert.Equal(t, []map[string]any{
		{"leftfold.query": "balances"},
		{"leftfold.query": "balances", "leftfold.query.age": "known"},
		{"leftfold.query": "balances", "leftfold.query.age": "known", "leftfold.query.stale": true},
		{"leftfold.query": "balances", "error.type": "not_caught_up"},
	}, spans)
	const fresh, stale, late = "leftfold.query=balances", "leftfold.query=balances,leftfold.query.stale=true", "error.type=not_caught_up,leftfold.query=balances"
	all := told.metrics(t)
	assert.Equal(t, map[string]uint64{fresh: 2, stale: 1, late: 1}, counts[float64](t, all["leftfold.query.duration"]))
	assert.Equal(t, map[string]uint64{fresh: 1, stale: 1, late: 1}, counts[float64](t, all["leftfold.query.wait"]))
	assert.Equal(t, map[string]uint64{fresh: 1, stale: 1}, counts[float64](t, all["leftfold.query.age"]))
}
