//go:build unix

package saga_test

import (
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
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
	kills := 0
	workers := []*exec.Cmd{x.starts(""), x.starts("")}
	for ; kills < 10*eventstoretest.Scale; kills++ {
		victim := kills % len(workers)
		before := len(fired.times)
		for fired.read(t, x.at.store); len(fired.times) == before && len(fired.times) < pending; fired.read(t, x.at.store) {
			require.NoError(t, eventstore.WaitAppended(t.Context(), x.at.store, fired.after)) // no worker is killed for nothing
		}
		if len(fired.times)+mostAhead < pending { // it is killed at any moment
			x.at.goesOn(t, mostAhead)
		}
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
// mostAhead bounds for how many events a worker that is to be killed goes on.
const mostAhead = 60

type firing struct {
	after eventstore.Position
	due   map[string]time.Time
	times map[string]int
}

func (f *firing) read(t *testing.T, log eventstore.LogReader) {
	t.Helper()
	read, err := log.ReadLog(t.Context(), eventstore.LogQuery{Query: eventstore.Types("saga.timer.fired"), After: f.after})
	require.NoError(t, err)
	for m, err := range read.Events() {
		require.NoError(t, err)
		id := timerOf(t, m).ID
		require.Contains(t, f.due, id)
		f.times[id]++
	}
	f.after = read.Through.Position
}
