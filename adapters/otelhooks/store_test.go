package otelhooks_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/otelhooks"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
)

// The store keeps its whole contract and every optional power: a power that the hooks hid would be
// a clause that is skipped, which is a failure in CI. No span is kept, so no byte is added.
func TestAHookedStoreIsStillTheStore(t *testing.T) {
	t.Parallel()
	eventstoretest.RunWith(t, func(t testing.TB) eventstore.Store {
		store := memory.NewStore()
		return closing{listen(t, trace.WithSampler(trace.NeverSample())).Store(store).(hooked), store}
	}, eventstoretest.Options{Divisor: 50}) // the store beneath has its own run; this one is about the wrapping
}

// closing can be closed, as the store beneath.
type closing struct {
	hooked
	beneath *memory.Store
}

func (c closing) Close(ctx context.Context) error { return c.beneath.Close(ctx) }

// hooked is what Store returns, with the powers that it must have.
type hooked interface {
	eventstore.Store
	eventstore.Notifier
	eventstore.StreamDeleter
	eventstore.CommandPruner
	eventstore.Portable
	eventstore.Capable
}

// plain is a store without any power.
type plain struct{ eventstore.Store }

func TestAStoreWithoutPowersGetsNone(t *testing.T) {
	t.Parallel()
	bare := plain{memory.NewStore()}
	store := listen(t).Store(bare)
	want, err := eventstore.CapabilitiesOf(t.Context(), bare)
	require.NoError(t, err)
	got, err := eventstore.CapabilitiesOf(t.Context(), store)
	require.NoError(t, err)
	assert.Equal(t, want, got)
	assert.True(t, got.Excludes(eventstore.Deletion))
	assert.True(t, got.Excludes(eventstore.Pruning))
	assert.True(t, got.Excludes(eventstore.Importing))
	_, err = store.(eventstore.StreamDeleter).DeleteStream(t.Context(), "account-1", eventstore.Any)
	require.ErrorIs(t, err, eventstore.ErrUnsupported)
	_, err = store.(eventstore.CommandPruner).PruneCommands(t.Context(), time.Now())
	require.ErrorIs(t, err, eventstore.ErrUnsupported)

	woken := make(chan error, 1)
	go func() { woken <- eventstore.WaitAppended(t.Context(), store, 0) }()
	_, err = store.Append(t.Context(), appendOf(eventstore.EventData{Type: "a"}))
	require.NoError(t, err)
	require.NoError(t, <-woken)
}

func appendOf(events ...eventstore.EventData) eventstore.AppendRequest {
	return eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "account-1", Events: events}}}
}

func TestOnlyMetadataInTheUsualFormGetATraceContext(t *testing.T) {
	t.Parallel()
	beneath, told := memory.NewStore(), listen(t)
	request := appendOf(
		eventstore.EventData{Type: "a", Metadata: []byte(`{"actor":"ada"}`)},
		eventstore.EventData{Type: "a", Metadata: []byte(`{"actor":"ada"}`)},
		eventstore.EventData{Type: "a"},
		eventstore.EventData{Type: "a", Metadata: []byte("of another form")},
		eventstore.EventData{Type: "a", Metadata: []byte(`{"traceparent":"mine"}`)},
	)
	_, err := told.Store(beneath).Append(t.Context(), request)
	require.NoError(t, err)
	span := told.one(t, "append account").SpanContext
	added := fmt.Sprintf(`"traceparent":"00-%s-%s-01"`, span.TraceID(), span.SpanID())
	assert.Equal(t, []string{
		`{"actor":"ada",` + added + `}`, `{"actor":"ada",` + added + `}`, `{` + added + `}`, "of another form", `{"traceparent":"mine"}`,
	}, rawMetadataOf(t, beneath))
	assert.JSONEq(t, `{"actor":"ada"}`, string(request.Writes[0].Events[0].Metadata), "the request is the caller's")
}

func TestATraceThatNobodyKeepsIsNotStored(t *testing.T) {
	t.Parallel()
	beneath, told := memory.NewStore(), listen(t, trace.WithSampler(trace.NeverSample()))
	_, err := told.Store(beneath).Append(t.Context(), appendOf(eventstore.EventData{Type: "a"}))
	require.NoError(t, err)
	assert.Equal(t, []string{""}, rawMetadataOf(t, beneath))
}

// Telemetry must not refuse what the store would take.
func TestAnEventThatJustFitsIsAppendedWithoutATraceContext(t *testing.T) {
	t.Parallel()
	beneath, told := memory.NewStore(), listen(t)
	store := told.Store(beneath)
	_, err := store.Append(t.Context(), appendOf(eventstore.EventData{Type: "a", Data: []byte(strings.Repeat("x", eventstore.DefaultEventBytes))}))
	require.NoError(t, err)
	assert.Equal(t, []string{""}, rawMetadataOf(t, beneath))
	_, err = store.Append(t.Context(), appendOf(eventstore.EventData{Type: "a", Data: []byte(strings.Repeat("x", eventstore.DefaultEventBytes+1))}))
	require.ErrorIs(t, err, eventstore.ErrTooLarge)
}

func TestADeletionIsTold(t *testing.T) {
	t.Parallel()
	told := listen(t)
	store := told.Store(memory.NewStore())
	_, err := store.Append(t.Context(), appendOf(eventstore.EventData{Type: "a"}))
	require.NoError(t, err)
	_, err = store.(eventstore.StreamDeleter).DeleteStream(t.Context(), "account-1", eventstore.Any)
	require.NoError(t, err)
	assert.Equal(t, "delete", attributes(told.one(t, "delete account"))["messaging.operation.name"])
	assert.Equal(t, uint64(2), counts[float64](t, told.metrics(t)["leftfold.append.duration"])["leftfold.repeated=false"])
}

func TestReadsHaveSpansUnderAnotherOneAndAsLongAsTheLoop(t *testing.T) {
	t.Parallel()
	told := listen(t)
	store := told.Store(memory.NewStore())
	_, err := store.Append(t.Context(), appendOf(eventstore.EventData{Type: "a"}, eventstore.EventData{Type: "b"}))
	require.NoError(t, err)
	read := func(ctx context.Context) {
		log, err := store.ReadLog(ctx, eventstore.LogQuery{})
		require.NoError(t, err)
		require.Equal(t, eventstore.Position(2), log.Head)
		for range log.Events() {
			assert.Empty(t, told.named("read log"), "not before the loop ends")
			break
		}
	}
	read(t.Context())
	assert.Empty(t, told.named("read log"))
	ctx, span := told.tracer.Tracer("test").Start(t.Context(), "under way")
	defer span.End()
	read(ctx)
	assert.Equal(t, map[string]any{"messaging.operation.name": "read", "leftfold.events": int64(1)}, attributes(told.one(t, "read log")))

	var failed error
	for _, err := range store.ReadStream(ctx, "no id", eventstore.StreamRange{}) {
		failed = err
	}
	require.ErrorIs(t, failed, eventstore.ErrInvalid)
	assert.Equal(t, "invalid", attributes(told.one(t, "load no id"))["error.type"])
}

func TestWithoutAnSDKNothingIsAddedAndNothingFails(t *testing.T) {
	t.Parallel()
	hooks, err := otelhooks.New(otelhooks.Options{})
	require.NoError(t, err)
	store := memory.NewStore()
	commands := commandsOn(hooks.Store(store), hooks.Commands())
	_, err = commands.Dispatch(t.Context(), Deposit{"ada", 1})
	require.NoError(t, err)
	assert.NotContains(t, rawMetadataOf(t, store)[0], "traceparent")
	_, err = hooks.Observe(store, memory.NewSink(), "balances")
	require.NoError(t, err)
}

func TestAPanicIsToldAndGoesOn(t *testing.T) {
	t.Parallel()
	told := listen(t)
	commands := commandsOn(panicking{memory.NewStore()}, told.Commands())
	assert.PanicsWithError(t, "on fire", func() { _, _ = commands.Dispatch(t.Context(), Deposit{"ada", 1}) })
	assert.Equal(t, "panic", attributes(told.one(t, "command account.deposit"))["error.type"])
}

type panicking struct{ eventstore.Store }

func (panicking) Append(context.Context, eventstore.AppendRequest) (eventstore.Receipt, error) {
	panic(errors.New("on fire"))
}

func rawMetadataOf(t testing.TB, log eventstore.LogReader) (all []string) {
	t.Helper()
	read, err := log.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	for event, err := range read.Events() {
		require.NoError(t, err)
		all = append(all, string(event.Metadata))
	}
	return all
}
