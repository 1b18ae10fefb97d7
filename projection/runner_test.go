package projection_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

func TestARunnerThatIsNotFilledInSaysSo(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	task := projection.Into(sink, accounts)
	onUnknown := projection.NewView("v", projection.ViewOptions{Version: 1},
		projection.When(func(*account, unknown, eventstore.Recorded) {}))
	two := projection.NewView("accounts", projection.ViewOptions{Version: 2}, projection.When(pay))
	for says, r := range map[string]projection.Runner{
		"Log and Tasks are required":                 {},
		"projection.Runner: Log and Tasks":           {Log: store},
		"a task is empty; make one with":             {Log: store, Tasks: []projection.Task{{}}},
		"set Runner.Events":                          {Log: store, Tasks: []projection.Task{task}},
		"projection.Runner: accounts is given twice": runner(t, store, task, task),
		": accounts is given twice":                  runner(t, store, task, projection.Into(sink, two)),
		"add codec.Event[projection_test.unk":        runner(t, store, projection.Into(sink, onUnknown)),
	} {
		require.ErrorContains(t, r.Run(t.Context()), says)
		require.ErrorContains(t, r.CatchUp(t.Context()), says)
	}
}

func TestOneProjectionThatFailsStopsTheOthersAndIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, sink := memory.NewStore(), memory.NewSink()
		broken := projection.NewView("broken", projection.ViewOptions{Version: 3},
			projection.When(func(_ *account, e paid, _ eventstore.Recorded) {
				if e.Cents < 0 {
					panic("negative")
				}
			}))
		ended := make(chan error, 1)
		r := runner(t, store, projection.Into(sink, accounts), projection.Into(sink, broken))
		go func() { ended <- r.Run(t.Context()) }()
		appendTo(t, store, "a", paid{Cents: 5})
		synctest.Wait()
		require.Empty(t, ended)
		appendTo(t, store, "a", paid{Cents: -1})

		err := <-ended
		require.EqualError(t, err, "projection broken@3: event paid at position 2 (test-a, version 2): panic: negative")
		failed, ok := errors.AsType[*projection.EventError](err)
		require.True(t, ok)
		assert.True(t, failed.Permanent)
		at, err := sink.Checkpoint(t.Context(), broken.Generation(), headOf(t, store).Store)
		require.NoError(t, err)
		assert.Equal(t, eventstore.Position(1), at.Position(), "what was applied stays applied")
	})
}

func headOf(t *testing.T, log eventstore.LogReader) eventstore.Token {
	t.Helper()
	head, err := log.Head(t.Context())
	require.NoError(t, err)
	return head
}

// A key function and the codec run outside of the fold.
func TestAnEventThatHasNoKeyOrDoesNotDecodeIsNamed(t *testing.T) {
	view := projection.NewView("v", projection.ViewOptions{Version: 1},
		projection.WhenKeyed(func(e paid, _ eventstore.Recorded) string { panic("no key for " + e.To) }, pay))
	store := memory.NewStore()
	appendTo(t, store, "a", renamed{}, paid{To: "bob"})
	err := runner(t, store, projection.Into(memory.NewSink(), view)).CatchUp(t.Context())
	require.EqualError(t, err, "projection v@1: event paid at position 2 (test-a, version 2): panic: no key for bob")

	_, err = store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "test-b", Events: []eventstore.EventData{{Type: "renamed", Data: []byte("{")}}},
	}})
	require.NoError(t, err)
	err = runner(t, store, projection.Into(memory.NewSink(), accounts)).CatchUp(t.Context())
	_, undecoded := errors.AsType[*codec.DecodeError](err)
	assert.True(t, undecoded)
	assert.ErrorContains(t, err, "projection accounts@1: event renamed at position 3 (test-b, version 1): ")
}

func TestARowThatCannotBeStoredStopsTheProjectionAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, began := memory.NewStore(), time.Now()
		appendTo(t, store, "a", renamed{Name: "a\x00"})
		err := runner(t, store, projection.Into(memory.NewSink(), accounts)).Run(t.Context())
		require.ErrorContains(t, err, `column name of row "a": text holds a NUL character`)
		assert.Zero(t, time.Since(began))
	})
}

// strange returns a row that nobody asked for.
type strange struct{ *memory.Sink }

func (strange) Load(context.Context, projection.Model, []string) ([]projection.Row, error) {
	return []projection.Row{{Key: "stranger"}}, nil
}

func TestASinkThatReturnsAnotherRowIsAnErrorAndNoPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memory.NewStore()
		appendTo(t, store, "a", paid{})
		err := runner(t, store, projection.Into(strange{memory.NewSink()}, accounts)).Run(t.Context())
		require.ErrorContains(t, err, `the sink returned row "stranger", which was not asked for`)
	})
}

func TestRunReturnsNilHoweverItsContextEnds(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	r := runner(t, store, projection.Into(sink, accounts), projection.On(sink, counting(func(eventstore.Recorded, int) error { return nil })))
	signalled := errors.New("interrupt signal received") // signal.NotifyContext gives such a cause since Go 1.26
	t.Run("while it waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := memory.NewStore()
			r := runner(t, store, projection.Into(memory.NewSink(), accounts))
			ctx, cancel := context.WithCancelCause(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- r.Run(ctx) }()
			synctest.Wait()
			cancel(signalled)
			require.NoError(t, <-ended)
		})
	})
	t.Run("before it starts", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(signalled)
		require.NoError(t, r.Run(ctx))
		require.ErrorIs(t, r.CatchUp(ctx), context.Canceled)
	})
}

func TestTwoRunnersOfOneProjectionApplyEveryEventOnce(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	for range cap(ended) {
		r := runner(t, store, projection.Into(sink, accounts))
		r.Window = 3
		go func() { ended <- r.Run(ctx) }()
	}
	bus, reader := query.NewBus(), projection.NewReader(sink, accounts)
	query.Handle(bus, "account", reader.Get, query.Reads("accounts"))
	for n := range 200 {
		receipt := appendTo(t, store, "a", paid{Cents: 1}, paid{Cents: 1})
		row, err := query.Ask[account](ctx, bus, "a", query.After(receipt.Token))
		require.NoError(t, err)
		require.Equal(t, int64(2*n+2), row.Cents)
	}
	stop()
	for range cap(ended) {
		require.NoError(t, <-ended)
	}
}

func TestProgressNamesTheProjection(t *testing.T) {
	store := memory.NewStore()
	appendTo(t, store, "a", paid{}, paid{}, paid{})
	var last atomic.Pointer[projection.Progress]
	r := runner(t, store, projection.Into(memory.NewSink(), accounts))
	r.Window = 2
	r.OnProgress = func(p projection.Progress) { last.Store(&p) }
	require.NoError(t, r.CatchUp(t.Context()))
	assert.Equal(t, &projection.Progress{Name: "projection accounts@1", Position: 3, Head: 3}, last.Load())
}
