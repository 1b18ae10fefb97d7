package otelhooks_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

func TestAWindowLinksToEachAppendOnceAndToNotTooMany(t *testing.T) {
	t.Parallel()
	told, beneath := listen(t), memory.NewStore()
	store := told.Store(beneath)
	for range 3 {
		_, err := store.Append(t.Context(), appendOf(eventstore.EventData{Type: "a"}, eventstore.EventData{Type: "a"}))
		require.NoError(t, err)
	}
	_, err := beneath.Append(t.Context(), appendOf(
		eventstore.EventData{Type: "a"}, eventstore.EventData{Type: "a", Metadata: []byte(`{"traceparent":"no such thing"}`)},
		eventstore.EventData{Type: "a", Metadata: []byte(`{"traceparent":7}`)}))
	require.NoError(t, err)
	window, err := subscription.ReadWindow(t.Context(), beneath, eventstore.Query{}, subscription.Checkpoint{}, 0)
	require.NoError(t, err)
	apply := told.Projections(projection.Hooks{}).Window
	ctx, span := told.tracer.Tracer("program").Start(t.Context(), "the worker's own") // no append
	defer span.End()
	_, done := apply(ctx, balances.Generation(), window)
	done(nil)
	var linked, appended []any
	for _, link := range told.one(t, "apply balances").Links {
		linked = append(linked, link.SpanContext.SpanID())
	}
	for _, span := range told.named("append account") {
		appended = append(appended, span.SpanContext.SpanID())
	}
	require.Len(t, appended, 3)
	assert.Equal(t, appended, linked)

	for n := range 100 {
		window.Events = append(window.Events, eventstore.Recorded{EventData: eventstore.EventData{
			Metadata: fmt.Appendf(nil, `{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-%016x-01"}`, n+1),
		}})
	}
	_, done = apply(ctx, balances.Generation(), window)
	done(errors.New("the sink is away"))
	last := told.named("apply balances")[1]
	assert.Len(t, last.Links, 64)
	assert.Equal(t, "_OTHER", attributes(last)["error.type"])
	assert.Equal(t, map[string]uint64{"leftfold.projection=balances": 1, "error.type=_OTHER,leftfold.projection=balances": 1},
		counts[float64](t, told.metrics(t)["leftfold.projection.apply.duration"]))
}

// A window in which a projection finds nothing makes no span, or every append would make one for
// every projection.
func TestAnEmptyWindowMakesNoSpan(t *testing.T) {
	t.Parallel()
	told := listen(t)
	_, done := told.Projections(projection.Hooks{}).Window(t.Context(), balances.Generation(), subscription.Window{})
	done(nil)
	assert.Empty(t, told.spans.GetSpans())
	assert.NotContains(t, told.metrics(t), "leftfold.projection.apply.duration")
}

// What a handler does because of an event is in the trace of its window, and in the conversation
// of the event.
func TestACommandOfAHandlerIsInTheTraceOfItsWindow(t *testing.T) {
	t.Parallel()
	told, beneath, sink := listen(t), memory.NewStore(), memory.NewSink()
	store := told.Store(beneath)
	commands := commandsOn(store, told.Commands())
	reacted := make(chan eventstore.Receipt, 1)
	react := projection.NewHandler("tax", projection.HandlerOptions{Version: 1}, func(ctx context.Context, _ *memory.Tx, e eventstore.Recorded) error {
		if e.Stream != "account-ada" {
			return nil
		}
		receipt, err := commands.Dispatch(eventstore.CausedBy(ctx, e), Deposit{"tax", 1}, command.ID("tax of "+e.ID.String()))
		reacted <- receipt
		return err
	})
	stop := working(t, projection.Worker{Log: beneath, Tasks: []projection.Task{projection.On(sink, react)}, Hooks: told.Projections(projection.Hooks{})})
	accounts := aggregate.NewRepository(store, Accounts)
	ctx := eventstore.WithMetadata(t.Context(), eventstore.Metadata{"correlation_id": "request-1"})
	_, err := accounts.Execute(ctx, "ada", func(Account) ([]Event, error) { return []Event{Deposited{5}}, nil })
	require.NoError(t, err)
	<-reacted
	stop()

	windows, dispatched := told.named("apply tax"), told.one(t, "command account.deposit")
	assert.Equal(t, windows[0].SpanContext.SpanID(), dispatched.Parent.SpanID())
	audit := metadataOf(t, beneath)
	assert.Equal(t, "request-1", audit[1]["correlation_id"])
	read, err := beneath.ReadLog(t.Context(), eventstore.LogQuery{Limit: 1})
	require.NoError(t, err)
	for first, err := range read.Events() {
		require.NoError(t, err)
		assert.Equal(t, first.ID.String(), audit[1]["causation_id"])
	}
}

func TestHooksOfTheProgramAreCalledToo(t *testing.T) {
	t.Parallel()
	told := listen(t)
	type key struct{}
	var calls []string
	hooks := told.Projections(projection.Hooks{
		Window: func(ctx context.Context, of projection.Generation, _ subscription.Window) (context.Context, func(error)) {
			calls = append(calls, "window "+of.String())
			return context.WithValue(ctx, key{}, "mine"), func(err error) { calls = append(calls, fmt.Sprint("done ", err)) }
		},
		Rebuild: func(p projection.RebuildProgress) { calls = append(calls, "rebuild "+string(p.Phase)) },
	})
	ctx, done := hooks.Window(t.Context(), balances.Generation(), subscription.Window{})
	assert.Equal(t, "mine", ctx.Value(key{}))
	done(nil)
	for _, p := range []projection.RebuildProgress{
		{Phase: projection.Replaying, Done: 25, Total: 100}, {Phase: projection.Switched, Done: 90, Total: 100},
	} {
		p.Generation = balances.Generation()
		hooks.Rebuild(p)
		want := map[projection.Phase]float64{projection.Replaying: 0.25, projection.Switched: 1}[p.Phase]
		assert.Equal(t, map[string]float64{"leftfold.projection=balances,leftfold.projection.version=1": want},
			gauge[float64](t, told.metrics(t)["leftfold.projection.rebuild.progress"]))
	}
	assert.Equal(t, []string{"window balances@1", "done <nil>", "rebuild replaying", "rebuild switched"}, calls)
}

// The figures are read from the log and the sink, so they tell of a projection that nobody runs.
func TestLagIsToldEvenIfNoWorkerRuns(t *testing.T) {
	t.Parallel()
	told, store, sink := listen(t), memory.NewStore(), memory.NewSink()
	tasks := []projection.Task{projection.Into(sink, balances)}
	require.NoError(t, projection.Runner{Log: store, Events: Accounts.Events(), Tasks: tasks}.CatchUp(t.Context()))
	observed, err := told.Observe(store, sink, "balances")
	require.NoError(t, err)
	const of = "leftfold.projection=balances,leftfold.projection.stage=live,leftfold.projection.version=1"
	assert.Equal(t, map[string]int64{of: 0}, gauge[int64](t, told.metrics(t)["leftfold.projection.lag.events"]))

	_, err = store.Append(t.Context(), appendOf(
		eventstore.EventData{Type: "account.deposited", Data: []byte("no JSON")}, eventstore.EventData{Type: "account.deposited", Data: []byte("{}")}))
	require.NoError(t, err)
	all := told.metrics(t)
	assert.Equal(t, map[string]int64{of: 2}, gauge[int64](t, all["leftfold.projection.lag.events"]))
	assert.Positive(t, gauge[float64](t, all["leftfold.projection.lag"])[of])
	assert.Equal(t, map[string]int64{of + ",leftfold.segment.state=free": 1}, gauge[int64](t, all["leftfold.projection.segments"]))
	assert.Equal(t, map[string]int64{of: 0}, gauge[int64](t, all["leftfold.projection.parked"]))

	working(t, projection.Worker{Log: store, Events: Accounts.Events(), Tasks: tasks})
	require.Eventually(t, func() bool {
		all := told.metrics(t)
		return gauge[int64](t, all["leftfold.projection.parked"])[of] == 1 && gauge[int64](t, all["leftfold.projection.lag.events"])[of] == 0 &&
			gauge[int64](t, all["leftfold.projection.segments"])[of+",leftfold.segment.state=running"] == 1
	}, 20*time.Second, 5*time.Millisecond)
	require.NoError(t, observed.Unregister())
	assert.NotContains(t, told.metrics(t), "leftfold.projection.lag")
}
