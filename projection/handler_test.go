package projection_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

var errMail = errors.New("no connection")

// counting returns a handler that counts the events in the sink's tables, after fail
// has been asked about the event and the number of the call, from 1.
func counting(fail func(m eventstore.Recorded, call int) error) *projection.Handler[*memory.Tx] {
	calls := 0
	return projection.NewHandler("counter", projection.HandlerOptions{Version: 1}, func(_ context.Context, tx *memory.Tx, m eventstore.Recorded) error {
		calls++
		count, _ := tx.Get("counts", m.Type)
		n, _ := count.(int)
		tx.Put("counts", m.Type, n+1)
		return fail(m, calls)
	})
}

func counted(sink *memory.Sink) int {
	count, _ := sink.Value("counts", "paid")
	n, _ := count.(int)
	return n
}

func TestAHandlersWritesCommitWithTheCheckpoint(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	receipt := appendTo(t, store, "a", paid{}, paid{}, renamed{}, paid{})
	task := projection.On(sink, counting(func(eventstore.Recorded, int) error { return nil }))
	for range 2 {
		require.NoError(t, runner(t, store, task).CatchUp(t.Context()))
		assert.Equal(t, 3, counted(sink), "once, however often it catches up")
	}
	at, err := sink.Checkpoint(t.Context(), projection.Generation{Name: "counter", Version: 1}, receipt.Token.Store)
	require.NoError(t, err)
	assert.Equal(t, receipt.Token, at.Token())
}

func TestAHandlersErrorRollsBackItsWindowAndIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, sink := memory.NewStore(), memory.NewSink()
		appendTo(t, store, "a", paid{}, paid{}, paid{})
		flaky := counting(func(m eventstore.Recorded, call int) error {
			if m.Position == 2 && call < 5 {
				return errMail
			}
			return nil
		})
		require.NoError(t, runner(t, store, projection.On(sink, flaky)).CatchUp(t.Context()))
		assert.Equal(t, 3, counted(sink))
	})
}

func TestAHandlerThatFailsForGoodNamesItsEvent(t *testing.T) {
	for name, c := range map[string]struct {
		fail      func(eventstore.Recorded, int) error
		calls     int
		permanent bool
		says      string
		is        error
	}{
		"an error":            {func(eventstore.Recorded, int) error { return errMail }, 3, false, "no connection", errMail},
		"a permanent error":   {func(eventstore.Recorded, int) error { return fmt.Errorf("%w: %w", subscription.ErrPermanent, errMail) }, 1, true, "no connection", errMail},
		"a panic":             {func(eventstore.Recorded, int) error { panic("nil map") }, 1, true, "panic: nil map", subscription.ErrPermanent},
		"a panic of an error": {func(eventstore.Recorded, int) error { panic(errMail) }, 1, true, "panic: no connection", errMail},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, sink := memory.NewStore(), memory.NewSink()
				appendTo(t, store, "a", paid{}, renamed{})
				tries := 0
				handler := counting(func(m eventstore.Recorded, call int) error {
					if m.Type != "renamed" {
						return nil
					}
					tries++
					return c.fail(m, call)
				})
				err := runner(t, store, projection.On(sink, handler)).Run(t.Context())
				require.ErrorIs(t, err, c.is)
				require.ErrorContains(t, err, "projection counter@1: event renamed at position 2 (test-a, version 2): ")
				require.ErrorContains(t, err, c.says)
				failed, ok := errors.AsType[*projection.EventError](err)
				require.True(t, ok)
				assert.Equal(t, eventstore.Position(2), failed.Event.Position)
				assert.Equal(t, c.permanent, failed.Permanent)
				assert.Equal(t, c.calls, tries)
				assert.Zero(t, counted(sink), "nothing of the window was applied")
			})
		})
	}
}

func TestAMistakeInAHandlerIsNamed(t *testing.T) {
	do := func(context.Context, *memory.Tx, eventstore.Recorded) error { return nil }
	for says, mistake := range map[string]func(){
		`projection.NewHandler("Mail"): the name "Mail" is not usable`: func() { projection.NewHandler("Mail", projection.HandlerOptions{Version: 1}, do) },
		`projection.NewHandler("mail"): the version is 0`:              func() { projection.NewHandler("mail", projection.HandlerOptions{}, do) },
		`invalid event type: it is empty`: func() {
			projection.NewHandler("mail", projection.HandlerOptions{Version: 1, Query: eventstore.Types("")}, do)
		},
		`projection.NewHandler("mail"): it has no function`: func() { projection.NewHandler[int]("mail", projection.HandlerOptions{Version: 1}, nil) },
	} {
		t.Run(says, func(t *testing.T) {
			defer func() { assert.Contains(t, fmt.Sprint(recover()), says) }()
			mistake()
		})
	}
}

// A handler that was divided and has no key any more would apply every event in each segment.
func TestAHandlerMayNotLoseItsKey(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	handler := func(key func(eventstore.Recorded) string) *projection.Handler[*memory.Tx] {
		return projection.NewHandler("counts", projection.HandlerOptions{Version: 1, Key: key}, func(_ context.Context, tx *memory.Tx, e eventstore.Recorded) error {
			n, _ := tx.Get("counts", "all")
			sum, _ := n.(int)
			tx.Put("counts", "all", sum+1)
			return nil
		})
	}
	keyed := worker(t, store, projection.On(sink, handler(func(e eventstore.Recorded) string { return e.Stream.ID() })))
	keyed.Segments = 4
	stop := working(t, keyed)
	of := projection.Generation{Name: "counts", Version: 1}
	require.Eventually(t, func() bool {
		s, err := projection.StatusOf(t.Context(), store, sink, of)
		return err == nil && len(s.Segments) == 4
	}, soon, often)
	stop()
	appendTo(t, store, "a", paid{Cents: 1})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := worker(t, store, projection.On(sink, handler(nil))).Run(ctx)
	n, _ := sink.Value("counts", "all")
	require.Nil(t, n)
	require.ErrorIs(t, err, projection.ErrDefinitionChanged)
}
