package saga_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/saga"
)

// waiting is a saga whose instances stay live: it pays and waits.
func waiting(change func(*saga.Definition[transfer])) *saga.Type[transfer] {
	d := saga.Definition[transfer]{
		Events: []*codec.Set{transferOrders.Events(), accounts.Events()},
		On: []saga.Rule[transfer]{
			saga.Begin(func(e requested, _ eventstore.Recorded) string { return e.ID },
				func(t *transfer, e requested, _ eventstore.Recorded) { *t = transfer{e.From, e.To, e.Cents} }),
			saga.On[transfer](func(e withdrawn, _ eventstore.Recorded) string { return e.Transfer }, nil),
		},
		Steps: []saga.Step[transfer]{
			{Name: "pay", Do: saga.Send("account.deposit", func(t transfer) deposit { return deposit{t.To, t.Cents, ""} })},
			{Name: "wait", Done: []saga.Match{saga.By[withdrawn]()}, Timeout: time.Hour},
		},
	}
	change(&d)
	return saga.Define("waiting", d)
}

func TestCheckFindsWhatNewCodeWouldDecideOtherwise(t *testing.T) {
	t.Parallel()
	at := place{store: memory.NewStore(), sink: memory.NewSink()}
	same := waiting(func(*saga.Definition[transfer]) {})
	w := at.worker(t)
	w.Sagas = []saga.Saga{same}
	at.requests(t, requested{"t1", "ann", "bob", 30}, requested{"t2", "ann", "bob", 30})
	at.withdraws(t, "ann", "t3")
	runs(t, w)
	live := func(want int) func() bool {
		return func() bool {
			page, err := projection.NewReader(at.sink, same.Timers()).List(t.Context(), projection.ListQuery{})
			return err == nil && len(page.Rows) == want
		}
	}
	require.Eventually(t, live(2), patience, 2*time.Millisecond)
	at.withdraws(t, "ann", "t2")
	require.Eventually(t, live(1), patience, 2*time.Millisecond)

	report, err := same.Check(t.Context(), at.store)
	require.NoError(t, err)
	assert.Equal(t, saga.CheckReport{Instances: 2, Live: 1, Decisions: 2}, report)

	for name, change := range map[string]func(d *saga.Definition[transfer]){
		"another payload": func(d *saga.Definition[transfer]) {
			d.Steps[0].Do = saga.Send("account.deposit", func(t transfer) deposit { return deposit{t.To, t.Cents + 1, ""} })
		},
		"another command": func(d *saga.Definition[transfer]) {
			d.Steps[0].Do = saga.Send("account.give", func(t transfer) deposit { return deposit{t.To, t.Cents, ""} })
		},
		"another timeout": func(d *saga.Definition[transfer]) { d.Steps[1].Timeout = time.Minute },
		"no timeout":      func(d *saga.Definition[transfer]) { d.Steps[1].Timeout = 0 },
		"another name":    func(d *saga.Definition[transfer]) { d.Steps[1].Name = "renamed" },
		"another order":   func(d *saga.Definition[transfer]) { d.Steps[0], d.Steps[1] = d.Steps[1], d.Steps[0] },
		"a step in between": func(d *saga.Definition[transfer]) {
			d.Steps = append(d.Steps[:1:1], saga.Step[transfer]{Name: "new", Done: []saga.Match{saga.By[withdrawn]()}}, d.Steps[1])
		},
		"a fold that panics": func(d *saga.Definition[transfer]) {
			d.On[0] = saga.Begin(func(e requested, _ eventstore.Recorded) string { return e.ID }, func(*transfer, requested, eventstore.Recorded) { panic("wrong") })
		},
		"another instance": func(d *saga.Definition[transfer]) {
			d.On[0] = saga.Begin(func(requested, eventstore.Recorded) string { return "t7" },
				func(t *transfer, e requested, _ eventstore.Recorded) { *t = transfer{e.From, e.To, e.Cents} })
		},
		"a fold that forgets": func(d *saga.Definition[transfer]) {
			d.On[0] = saga.Begin[transfer](func(e requested, _ eventstore.Recorded) string { return e.ID }, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report, err := waiting(change).Check(t.Context(), at.store)
			require.NoError(t, err)
			require.Len(t, report.Diverged, 1)
			assert.Equal(t, "t1", report.Diverged[0].Instance)
			assert.NotEmpty(t, report.Diverged[0].String())
		})
	}
	t.Run("a step at the end diverges from nothing", func(t *testing.T) {
		t.Parallel()
		report, err := waiting(func(d *saga.Definition[transfer]) {
			d.Steps = append(d.Steps, saga.Step[transfer]{Name: "new", Done: []saga.Match{saga.By[withdrawn]()}})
		}).Check(t.Context(), at.store)
		require.NoError(t, err)
		assert.Empty(t, report.Diverged)
	})
}

// One that cannot be read hides none of the others.
func TestCheckReportsARecordThatDoesNotDecodeAndGoesOn(t *testing.T) {
	t.Parallel()
	store := memory.NewStore()
	typ := waiting(func(*saga.Definition[transfer]) {})
	for _, stream := range []eventstore.StreamID{"waiting-a", "waiting-b"} {
		_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{
			Stream: stream, Events: []eventstore.EventData{{Type: "saga.observed", Data: []byte("no JSON")}},
		}}})
		require.NoError(t, err)
	}
	report, err := typ.Check(t.Context(), store)
	require.NoError(t, err)
	require.Len(t, report.Diverged, 2)
	assert.Equal(t, 2, report.Live)
	assert.Equal(t, "b", report.Diverged[1].Instance)
	require.Error(t, report.Diverged[1].Err)
}

// A release before had the payload in each request, not in the first alone.
func TestCheckKnowsLogsWithAPayloadInEachRequest(t *testing.T) {
	at := place{store: memory.NewStore(), sink: memory.NewSink()}
	at.deposits(t, "ann", 100)
	at.requests(t, requested{"t1", "ann", "bob", 30})
	w := at.worker(t)
	w.Dispatcher = saga.DispatcherFunc(func(context.Context, saga.Command) error { return errAway })
	stop := runs(t, w)
	awaits(t, at, "t1", saga.Stuck)
	stop()
	report, err := transfers.Check(t.Context(), at.store)
	require.NoError(t, err)
	require.Empty(t, report.Diverged)

	old := memory.NewStore()
	var payload json.RawMessage
	for m, err := range at.store.ReadStream(t.Context(), transfers.Stream("t1"), eventstore.StreamRange{}) {
		require.NoError(t, err)
		data := m.Data
		if m.Type == "saga.command.requested" {
			var all map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(data, &all))
			if p, ok := all["Payload"]; ok {
				payload = p
			} else {
				all["Payload"] = payload
				data, err = json.Marshal(all)
				require.NoError(t, err)
			}
		}
		_, err := old.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: m.Stream, Events: []eventstore.EventData{{
			ID: m.ID, Type: m.Type, SchemaVersion: m.SchemaVersion, Data: data, Metadata: m.Metadata, Tags: m.Tags}}}}})
		require.NoError(t, err)
	}
	report, err = transfers.Check(t.Context(), old)
	require.NoError(t, err)
	require.Empty(t, report.Diverged, "it was decided by the same rules")
}
