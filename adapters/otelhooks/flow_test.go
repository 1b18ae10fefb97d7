package otelhooks_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/trace"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// working runs a worker until the test ends or the returned function is called.
func working(t testing.TB, w projection.Worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return stop
}

// One command, from the dispatch to the query that waits for it, told by spans and metrics.
func TestTheWayOfACommandIsOneTraceThatTheProjectionLinksTo(t *testing.T) {
	t.Parallel()
	file, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "bank.db"), sqlite.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, file.Close(context.Background())) })
	told := listen(t)
	store := told.Store(file)
	commands := commandsOn(store, told.Commands())
	queries := query.NewBus(told.Queries())
	query.Handle(queries, "balance", func(ctx context.Context, account string) (Balance, error) {
		return projection.NewReader(file.Sink(), balances).Get(ctx, account)
	}, query.Reads("balances"))
	stop := working(t, projection.Worker{
		Log: store, Events: Accounts.Events(), Tasks: []projection.Task{projection.Into(file.Sink(), balances)},
		Hooks: told.Projections(projection.Hooks{}),
	})

	ctx, request := told.tracer.Tracer("test").Start(t.Context(), "request")
	receipt, err := commands.Dispatch(ctx, Deposit{"ada", 500}, command.ID("1"), command.Principal("ada"), command.Correlation("request-1"))
	require.NoError(t, err)
	balance, err := query.Ask[Balance](ctx, queries, "ada", query.After(receipt.Token), query.Wait(time.Minute))
	require.NoError(t, err)
	require.Equal(t, Balance{"ada", 500}, balance)
	request.End()
	stop() // the span of the window ends after its rows can be read

	dispatched, loaded, appended := told.one(t, "command account.deposit"), told.one(t, "load account"), told.one(t, "append account")
	applied, asked := told.one(t, "apply balances"), told.one(t, "query balance")
	assert.Len(t, told.spans.GetSpans(), 6, "and the request's own: the worker's looks at the log make none")
	assert.Equal(t, request.SpanContext().SpanID(), dispatched.Parent.SpanID())
	assert.Equal(t, request.SpanContext().SpanID(), asked.Parent.SpanID())
	assert.Equal(t, dispatched.SpanContext.SpanID(), loaded.Parent.SpanID())
	assert.Equal(t, dispatched.SpanContext.SpanID(), appended.Parent.SpanID())
	assert.False(t, applied.Parent.IsValid())
	require.Len(t, applied.Links, 1)
	assert.Equal(t, appended.SpanContext.WithRemote(true), applied.Links[0].SpanContext)
	assert.Equal(t, []trace.SpanKind{trace.SpanKindInternal, trace.SpanKindClient, trace.SpanKindProducer, trace.SpanKindConsumer, trace.SpanKindInternal},
		[]trace.SpanKind{dispatched.SpanKind, loaded.SpanKind, appended.SpanKind, applied.SpanKind, asked.SpanKind})

	assert.Equal(t, map[string]any{"leftfold.command": "account.deposit", "leftfold.correlation_id": "request-1", "leftfold.repeated": false}, attributes(dispatched))
	assert.Equal(t, map[string]any{"messaging.operation.name": "load", "leftfold.stream": "account-ada", "leftfold.events": int64(0)}, attributes(loaded))
	assert.Equal(t, map[string]any{
		"messaging.system": "leftfold", "messaging.operation.type": "send", "messaging.operation.name": "append",
		"messaging.destination.name": "account", "messaging.batch.message_count": int64(1),
		"leftfold.stream": "account-ada", "leftfold.position": int64(1), "leftfold.repeated": false,
	}, attributes(appended))
	assert.Equal(t, map[string]any{
		"messaging.system": "leftfold", "messaging.operation.type": "process", "messaging.operation.name": "apply",
		"messaging.consumer.group.name": "balances", "messaging.batch.message_count": int64(1), "messaging.destination.partition.id": "0-1023",
		"leftfold.projection.version": int64(1), "leftfold.position": int64(1),
	}, attributes(applied))
	assert.Contains(t, attributes(asked), "leftfold.query.waited")

	told.tellsTheFlow(t)
	audit := metadataOf(t, file)
	assert.Equal(t, eventstore.Metadata{
		"correlation_id": "request-1", "causation_id": "1", "actor": "ada", "command": "account.deposit",
		"traceparent": "00-" + appended.SpanContext.TraceID().String() + "-" + appended.SpanContext.SpanID().String() + "-01",
	}, audit[0])
}

func (o telemetry) tellsTheFlow(t *testing.T) {
	t.Helper()
	all := o.metrics(t)
	assert.Equal(t, map[string]uint64{"leftfold.command=account.deposit,leftfold.repeated=false": 1}, counts[float64](t, all["leftfold.command.duration"]))
	assert.Equal(t, map[string]uint64{"leftfold.repeated=false": 1}, counts[float64](t, all["leftfold.append.duration"]))
	assert.Equal(t, map[string]uint64{"": 1}, counts[int64](t, all["leftfold.append.events"]))
	assert.Equal(t, map[string]uint64{"leftfold.query=balance": 1}, counts[float64](t, all["leftfold.query.duration"]))
	assert.Equal(t, map[string]uint64{"leftfold.query=balance": 1}, counts[float64](t, all["leftfold.query.wait"]))
	assert.Equal(t, map[string]uint64{"leftfold.projection=balances": 1}, counts[float64](t, all["leftfold.projection.apply.duration"]))
	applied, ok := all["leftfold.projection.events"].Data.(metricdata.Sum[int64])
	require.True(t, ok)
	require.Len(t, applied.DataPoints, 1)
	assert.EqualValues(t, 1, applied.DataPoints[0].Value)
}

func TestFailuresHaveAWordAndRepeatsAreTold(t *testing.T) {
	t.Parallel()
	told := listen(t)
	file, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "bank.db"), sqlite.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, file.Close(context.Background())) })
	store := told.Store(file)
	commands := commandsOn(store, told.Commands())
	for range 2 {
		_, err := commands.Dispatch(t.Context(), Deposit{"ada", 1}, command.ID("1"))
		require.NoError(t, err)
	}
	_, err = commands.Dispatch(t.Context(), Deposit{"ada", 0})
	require.ErrorIs(t, err, errNothing)
	_, err = store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "account-ada", Expected: eventstore.NoStream, Events: []eventstore.EventData{{Type: "account.deposited"}}},
		{Stream: "till-1", Events: []eventstore.EventData{{Type: "till.opened"}}},
	}})
	require.ErrorIs(t, err, eventstore.ErrVersionConflict)

	refused := told.named("command account.deposit")[2]
	assert.Equal(t, codes.Error, refused.Status.Code)
	assert.Equal(t, "execute account-ada: nothing to deposit", refused.Status.Description)
	assert.Equal(t, "refused", attributes(refused)["error.type"])
	conflict := told.one(t, "append several")
	assert.Equal(t, "version_conflict", attributes(conflict)["error.type"])
	assert.NotContains(t, attributes(conflict), "leftfold.stream")

	all := told.metrics(t)
	assert.Equal(t, map[string]uint64{
		"leftfold.command=account.deposit,leftfold.repeated=false":                    1,
		"leftfold.command=account.deposit,leftfold.repeated=true":                     1,
		"error.type=refused,leftfold.command=account.deposit,leftfold.repeated=false": 1,
	}, counts[float64](t, all["leftfold.command.duration"]))
	assert.Equal(t, map[string]uint64{
		"leftfold.repeated=false": 1, "leftfold.repeated=true": 1, "error.type=version_conflict,leftfold.repeated=false": 1,
	}, counts[float64](t, all["leftfold.append.duration"]))
	assert.Equal(t, map[string]uint64{"": 1}, counts[int64](t, all["leftfold.append.events"]), "a repeat writes nothing")
}

func metadataOf(t testing.TB, log eventstore.LogReader) (all []eventstore.Metadata) {
	t.Helper()
	read, err := log.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	for event, err := range read.Events() {
		require.NoError(t, err)
		m, err := eventstore.ParseMetadata(event.Metadata)
		require.NoError(t, err)
		all = append(all, m)
	}
	return all
}
