package otelhooks_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/saga"
)

// bonuses answer a deposit with a bonus, at most a day later; what the account's name says decides how
// it goes.
var bonuses = saga.Define("bonus", saga.Definition[string]{
	Events: []*codec.Set{Accounts.Events()},
	On: []saga.Rule[string]{saga.Begin(func(_ Deposited, m eventstore.Recorded) string { return m.Stream.ID() },
		func(id *string, _ Deposited, m eventstore.Recorded) { *id = m.Stream.ID() })},
	Steps: []saga.Step[string]{
		{Name: "book", Do: saga.Send("bonus.book", func(id string) string { return id }), Undo: saga.Send("bonus.cancel", func(id string) string { return id })},
		{Name: "pay", Do: saga.Send("bonus.pay", func(id string) string { return id }), Timeout: 24 * time.Hour},
	},
	Retry: saga.Retry{First: time.Millisecond, Attempts: 1},
})

var errAway = errors.New("away")

func pays(ctx context.Context, c saga.Command) error {
	switch to := strings.Trim(string(c.Payload), `"`); {
	case c.Name != "bonus.pay", to == "well":
		return nil
	case to == "refused":
		return saga.Refused(errors.New("no"))
	case to == "away":
		return errAway
	default: // nobody answers
		<-ctx.Done()
		return ctx.Err()
	}
}

func TestSagasAreTold(t *testing.T) {
	t.Parallel()
	told, store, sink := listen(t), memory.NewStore(), memory.NewSink()
	var later, mine atomic.Int64
	worker := saga.Worker{
		Store: store, Sink: sink, Sagas: []saga.Saga{bonuses}, Dispatcher: told.Dispatcher(saga.DispatcherFunc(pays)),
		Hooks: told.Sagas(saga.Hooks{
			Decided: func(string, string, []saga.Entry) { mine.Add(1) },
			Fired:   func(string, saga.Timer, time.Duration) { mine.Add(1 << 32) },
		}),
		Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) },
		TTL: time.Second, DispatchTimeout: time.Minute,
	}
	observed, err := told.ObserveSagas(worker)
	require.NoError(t, err)
	accounts := aggregate.NewRepository(store, Accounts)
	begin := func(id string) {
		_, err := accounts.Execute(t.Context(), id, func(Account) ([]Event, error) { return []Event{Deposited{5}}, nil })
		require.NoError(t, err)
	}
	for _, id := range []string{"well", "refused", "away"} {
		begin(id)
	}
	const of = "leftfold.saga=bonus"
	phases := func() map[string]int64 {
		return gauge[int64](t, told.metrics(t)["leftfold.saga.instances"])
	}
	assert.Equal(t, map[string]int64{of + ",leftfold.saga.phase=running": 0, of + ",leftfold.saga.phase=compensating": 0, of + ",leftfold.saga.phase=stuck": 0}, phases())
	stop := sagasWork(t, worker)
	require.Eventually(t, func() bool {
		p := phases()
		return p[of+",leftfold.saga.phase=stuck"] == 1 && p[of+",leftfold.saga.phase=running"] == 0 && p[of+",leftfold.saga.phase=compensating"] == 0
	}, 20*time.Second, 5*time.Millisecond)
	all := told.metrics(t)
	assert.Equal(t, map[string]int64{of + ",leftfold.saga.phase=completed": 1, of + ",leftfold.saga.phase=compensated": 1}, sums(t, all["leftfold.saga.ended"]))
	assert.Equal(t, map[string]int64{of: 1}, sums(t, all["leftfold.saga.stuck"]))
	assert.Equal(t, map[string]int64{of: 1}, gauge[int64](t, all["leftfold.saga.timers"]), "the one that is stuck may still time out")
	assert.Equal(t, map[string]float64{of: 0}, gauge[float64](t, all["leftfold.saga.timers.overdue"]))
	assert.Equal(t, map[string]int64{of: 0}, gauge[int64](t, all["leftfold.saga.parked"]))
	assert.Equal(t, map[string]uint64{
		"leftfold.command=bonus.book": 3, "leftfold.command=bonus.cancel": 1, "leftfold.command=bonus.pay": 1,
		"error.type=refused,leftfold.command=bonus.pay": 1, "error.type=_OTHER,leftfold.command=bonus.pay": 1,
	}, counts[float64](t, all["leftfold.saga.dispatch.duration"]))
	for _, span := range told.named("dispatch bonus.pay") {
		assert.Equal(t, trace.SpanKindClient, span.SpanKind)
		assert.Len(t, attributes(span)["leftfold.command_id"], 32)
	}

	stop()
	later.Store(int64(25 * time.Hour)) // nobody fires what is due
	assert.InDelta(t, time.Hour.Seconds(), gauge[float64](t, told.metrics(t)["leftfold.saga.timers.overdue"])[of], 60)
	sagasWork(t, worker)
	require.Eventually(t, func() bool { return gauge[int64](t, told.metrics(t)["leftfold.saga.timers"])[of] == 0 }, 20*time.Second, 5*time.Millisecond)
	assert.Equal(t, map[string]uint64{of: 1}, counts[float64](t, told.metrics(t)["leftfold.saga.timer.lag"]))
	assert.Greater(t, mine.Load(), int64(1<<32), "the program's own hooks are called too")

	require.NoError(t, observed.Unregister())
	assert.NotContains(t, told.metrics(t), "leftfold.saga.timers")
}

func sagasWork(t *testing.T, w saga.Worker) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	stopped := false
	stop = func() {
		if cancel(); !stopped {
			stopped = true
			assert.NoError(t, <-ended)
		}
	}
	t.Cleanup(stop)
	return stop
}

// The request that led to the saga is found in the trace of what the saga did.
func TestADispatchContinuesTheTraceOfWhatBeganTheInstance(t *testing.T) {
	t.Parallel()
	told := listen(t)
	store := told.Store(memory.NewStore())
	tracer := told.tracer.Tracer("test")
	ctx, span := tracer.Start(t.Context(), "request")
	_, err := aggregate.NewRepository(store, Accounts).Execute(ctx, "well", func(Account) ([]Event, error) { return []Event{Deposited{5}}, nil })
	span.End()
	require.NoError(t, err)
	sagasWork(t, saga.Worker{Store: store, Sink: memory.NewSink(), Sagas: []saga.Saga{bonuses}, Dispatcher: told.Dispatcher(saga.DispatcherFunc(pays))})
	_, err = bonuses.Await(t.Context(), store, "well")
	require.NoError(t, err)
	for _, name := range []string{"dispatch bonus.book", "dispatch bonus.pay"} {
		assert.Equal(t, span.SpanContext().TraceID(), told.one(t, name).SpanContext.TraceID(), name)
	}
}
