//go:build unix

package saga_test

import (
	"context"
	"iter"
	"math/rand/v2"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/projection"
)

// A thousand timers fire while workers are killed, and a hundred thousand with LEFTFOLD_TORTURE=1.
func TestTortureEachTimerFiresOnceWhileWorkersAreKilled(t *testing.T) {
	t.Parallel()
	x := onPostgres(t)
	pending := 1000 * eventstoretest.Scale * eventstoretest.Scale
	window := time.Second * time.Duration(eventstoretest.Scale)
	first := pends(t, x.at, pending, 1, window)
	behind := time.Until(first)
	x.clock = behind.String()
	due := duesOf(t, x.at.store, first.Add(window))
	require.Len(t, due, pending)

	fired := firing{due: due, times: map[string]int{}}
	kills := 10 * eventstoretest.Scale
	workers := []*exec.Cmd{x.starts(""), x.starts("")}
	for n := range kills { // at any moment, while half of the timers fire
		victim := n % len(workers)
		fired.awaits(t, x.at.store, min(len(fired.times)+1+rand.N(pending/kills), pending))
		require.NoError(t, workers[victim].Process.Kill())
		require.True(t, killed(workers[victim].Wait()), "a worker has ended by itself")
		workers[victim] = x.starts("")
	}
	for _, w := range workers {
		require.NoError(t, w.Process.Kill())
		_ = w.Wait()
	}
	fired.read(t, x.at.store)
	t.Logf("%d of %d timers fired while %d workers were killed", len(fired.times), pending, kills)

	w := patientWorker(x.at, behind)
	w.TTL = 2 * time.Second
	require.NoError(t, endsWith(t, w, pending, 5*time.Minute))
	fired.read(t, x.at.store)
	require.Len(t, fired.times, pending)
	for id, times := range fired.times {
		require.Equal(t, 1, times, "timer %s", id)
	}
	require.Equal(t, pending, countOf(t, x.at.store, "saga.ended"))
	require.Zero(t, countOf(t, x.at.store, "saga.timer.cancelled"))
}

// firing counts how often each timer has fired. It reads what is new of the log.
type firing struct {
	after eventstore.Position
	due   map[string]time.Time
	times map[string]int
}

// awaits waits until so many timers have fired.
func (f *firing) awaits(t *testing.T, log eventstore.LogReader, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for f.read(t, log); len(f.times) < n; f.read(t, log) {
		require.NoError(t, eventstore.WaitAppended(ctx, log, f.after), "%d timers have fired", len(f.times))
	}
}

func (f *firing) read(t *testing.T, log eventstore.LogReader) {
	t.Helper()
	read, err := log.ReadLog(t.Context(), eventstore.LogQuery{Query: eventstore.Types(firedType), After: f.after})
	require.NoError(t, err)
	for m, err := range read.Events() {
		require.NoError(t, err)
		id := timerOf(t, m).ID
		_, due := f.due[id]
		require.True(t, due, "timer %s is not due", id)
		f.times[id]++
	}
	f.after = read.Through.Position
}

// A worker's mutants and the point at which they die.
const (
	listsInHalves = "between a checkpoint of the list and its timers"
	firesBlindly  = "after it has fired a timer, whatever the instance says"
)

// inHalves moves the checkpoint of the list of timers before it writes the timers.
type inHalves struct{ projection.Sink }

func (h inHalves) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if err := h.Sink.Commit(ctx, model, move, nil); err != nil || len(changes) == 0 || model.Name != "patient_timers" {
		return err
	}
	die()
	return nil
}

// blind does not look whether a timer has fired: not in the stream, and not by the id of what it appends.
// The list of timers stays as it is.
type blind struct{ eventstore.Store }

const firedType = "saga.timer.fired"

func (b blind) Append(ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
	w := &r.Writes[0]
	if w.Events[0].Type != firedType {
		return b.Store.Append(ctx, r)
	}
	r.Command, w.Expected = eventstore.Command{}, eventstore.Any
	if _, err := b.Store.Append(ctx, r); err != nil {
		return eventstore.Receipt{}, err
	}
	die()
	return eventstore.Receipt{}, nil
}

func (b blind) ReadStream(ctx context.Context, id eventstore.StreamID, r eventstore.StreamRange) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for m, err := range b.Store.ReadStream(ctx, id, r) {
			if m.Type == firedType || !yield(m, err) {
				return
			}
		}
	}
}

func (b blind) ReadLog(ctx context.Context, _ eventstore.LogQuery) (*eventstore.LogRead, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestTortureOfTimersCatchesItsMutants(t *testing.T) {
	t.Parallel()
	t.Run("a timer is lost between the list and its checkpoint", func(t *testing.T) {
		t.Parallel()
		x := onSQLite(t)
		require.NoError(t, x.at.requestsNth(t.Context(), 0))
		x.clock = "0s"
		require.True(t, killed(x.starts(listsInHalves).Wait()))
		w := patientWorker(x.at, 2*time.Hour)
		require.ErrorContains(t, endsWith(t, w, 1, 3*time.Second), "1 instances have not ended")
	})
	t.Run("a timer fires again after a crash", func(t *testing.T) {
		t.Parallel()
		x := onSQLite(t)
		pends(t, x.at, 1, 1, time.Second)
		x.clock = "2h"
		for range 2 {
			require.True(t, killed(x.starts(firesBlindly).Wait()))
		}
		require.Equal(t, 2, countOf(t, x.at.store, firedType))
	})
}
