//go:build unix

package saga_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/saga"
)

// The torture runs its own binary again, as workers that are killed.
const (
	childFile = "LEFTFOLD_SAGA_CHILD_FILE" // of SQLite,
	childURL  = "LEFTFOLD_SAGA_CHILD_URL"  // or of Postgres
	childDies = "LEFTFOLD_SAGA_CHILD_DIES" // at which point; empty: it is killed

	childClock = "LEFTFOLD_SAGA_CHILD_CLOCK" // how far it is ahead, for a worker that fires timers
)

func TestMain(m *testing.M) {
	if os.Getenv(childFile)+os.Getenv(childURL) != "" {
		if err := child(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// child works until it is killed.
func child(ctx context.Context) error {
	at, err := openChild(ctx)
	if err != nil {
		return err
	}
	w := torturedWorker(at)
	if clock := os.Getenv(childClock); clock != "" {
		ahead, err := time.ParseDuration(clock)
		if err != nil {
			return err
		}
		w = patientWorker(at, ahead)
		w.TTL = 250 * time.Millisecond
	}
	point := saga.Point(os.Getenv(childDies))
	left := atomic.Int64{}
	left.Store(1 + rand.Int64N(3))
	w.Hooks.Fault = func(p saga.Point) {
		if p == point && left.Add(-1) == 0 {
			die()
		}
	}
	switch os.Getenv(childDies) {
	case outsideTheAppend:
		w.Store = outside{at.store}
	case listsInHalves:
		w.Sink = inHalves{at.sink}
	case firesBlindly:
		w.Store = blind{at.store}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test is gone, whatever ended it
		stop()
	}()
	fmt.Println("ready")
	return w.Run(ctx)
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func torturedWorker(at place) saga.Worker {
	bus := saga.ToBus(newServices(at.store))
	return saga.Worker{
		Store: at.store, Sink: at.sink, Sagas: []saga.Saga{tortured, fulfilled, impatient}, TTL: 250 * time.Millisecond, DispatchTimeout: 10 * time.Second, Segments: 2, Window: 20,
		Dispatcher: saga.DispatcherFunc(func(ctx context.Context, c saga.Command) error {
			err := bus.Dispatch(ctx, c)
			if rand.N(5) == 0 { // the answer is lost
				return errLost
			}
			return err
		}),
	}
}

// patientWorker has a clock that is ahead.
func patientWorker(at place, ahead time.Duration) saga.Worker {
	return saga.Worker{
		Store: at.store, Sink: at.sink, Sagas: []saga.Saga{patient}, Dispatcher: saga.ToBus(newBank(at.store)), Segments: 2,
		Now: func() time.Time { return time.Now().Add(ahead) },
	}
}

func openChild(ctx context.Context) (place, error) {
	if file := os.Getenv(childFile); file != "" {
		store, err := sqlite.Open(ctx, file, sqlite.Options{})
		if err != nil {
			return place{}, err
		}
		return place{"sqlite", store, store.Sink()}, nil
	}
	store, err := postgrestest.Reopen(ctx, os.Getenv(childURL))
	if err != nil {
		return place{}, err
	}
	return place{"postgres", store, store.Sink()}, nil
}

// outsideTheAppend is a mutant: it writes the commands in an append of their own. It dies between the
// two.
const outsideTheAppend = "between two appends"

type outside struct{ eventstore.Store }

func (o outside) Append(ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
	for n, w := range r.Writes {
		first := slices.IndexFunc(w.Events, func(e eventstore.EventData) bool { return e.Type == "saga.command.requested" })
		if first < 0 {
			continue
		}
		r.Writes[n].Events = w.Events[:first]
		if _, err := o.Store.Append(ctx, r); err != nil {
			return eventstore.Receipt{}, err
		}
		die()
	}
	return o.Store.Append(ctx, r)
}

// torture is a place with processes that work on it.
type torture struct {
	t     *testing.T
	at    place
	env   string
	clock string // of its processes, see childClock
}

func onSQLite(t *testing.T) torture {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sagas.db")
	store := openSQLite(t, file)
	return torture{t: t, at: place{"sqlite", store, store.Sink()}, env: childFile + "=" + file}
}

func onPostgres(t *testing.T) torture {
	t.Helper()
	pool := postgrestest.Pool(t)
	store, err := postgres.Open(t.Context(), pool, postgres.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
	return torture{t: t, at: place{"postgres", store, store.Sink()}, env: childURL + "=" + pool.Config().ConnString()}
}

// starts starts a worker and waits until it works. It is killed at the end of the test at the latest.
func (x torture) starts(dies string) *exec.Cmd {
	x.t.Helper()
	process := exec.CommandContext(x.t.Context(), os.Args[0])
	process.Env = append(os.Environ(), x.env, childDies+"="+dies, childClock+"="+x.clock)
	process.Stderr = os.Stderr
	_, err := process.StdinPipe() // ends with us
	require.NoError(x.t, err)
	out, err := process.StdoutPipe()
	require.NoError(x.t, err)
	require.NoError(x.t, process.Start())
	require.True(x.t, bufio.NewScanner(out).Scan(), "the worker does not start")
	return process
}

func killed(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	return ok && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
}

// keepsRequesting goes through the script until it is stopped, which returns how far it got.
func (x torture) keepsRequesting() (stop func() int) {
	ctx, cancel := context.WithCancel(x.t.Context())
	var all sync.WaitGroup
	n := 0
	all.Go(func() {
		for ; ctx.Err() == nil; n++ {
			if err := x.at.requestsNth(context.WithoutCancel(ctx), n); err != nil {
				x.t.Errorf("request: %v", err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(30 * time.Millisecond):
			}
		}
	})
	return func() int { cancel(); all.Wait(); return n }
}

// ends has one worker, which nothing happens to, bring everything to its end, and returns why not all
// of it is as it would be if nothing had ever happened.
func (x torture) ends(requests int, within time.Duration) error {
	x.t.Helper()
	w := torturedWorker(x.at)
	w.TTL, w.Window = 2*time.Second, 500 // nobody takes anything away from it
	if err := endsWith(x.t, w, requests, within); err != nil {
		return err
	}
	got, want := x.at.final(x.t, requests), calm(x.t, requests)
	if err := got.conserves(); err != nil {
		return err
	}
	return errors.Join(got.differsFrom(want), got.undoesWhatItMust(requests))
}

// calm returns how the same script ends on a store of its own, where nothing happens to anybody.
func calm(t *testing.T, requests int) final {
	t.Helper()
	at := place{store: memory.NewStore(), sink: memory.NewSink()}
	at.opens(t)
	for n := range requests {
		require.NoError(t, at.requestsNth(t.Context(), n))
	}
	w := torturedWorker(at)
	w.Dispatcher, w.TTL, w.Window = saga.ToBus(newServices(at.store)), 10*time.Second, 500
	require.NoError(t, endsWith(t, w, requests, time.Minute*time.Duration(eventstoretest.Scale)))
	return at.final(t, requests)
}

// endsWith runs a worker until all instances have ended. One of them must end within each such time.
func endsWith(t *testing.T, w saga.Worker, requests int, within time.Duration) error {
	t.Helper()
	defer runs(t, w)()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	still := time.AfterFunc(within, func() { cancel(fmt.Errorf("none has ended for %v", within)) })
	defer still.Stop()
	var seen progress
	for {
		before := seen.ended
		err := seen.read(ctx, w.Store)
		if err == nil && seen.ended >= requests {
			return nil
		}
		if seen.ended > before {
			still.Reset(within)
		}
		if err == nil {
			err = eventstore.WaitAppended(ctx, w.Store, seen.after)
		}
		if err != nil {
			return fmt.Errorf("%d instances have not ended: %w (%w)", requests-seen.ended, err, context.Cause(ctx))
		}
	}
}

// goesOn returns when the log has grown by up to so many events, which nobody knows before.
func (at place) goesOn(t *testing.T, most int64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	head, err := at.store.Head(ctx)
	require.NoError(t, err)
	require.NoError(t, eventstore.WaitAppended(ctx, at.store, head.Position+eventstore.Position(rand.N(most))))
}

// progress counts the instances that have ended. It reads what is new of the log.
type progress struct {
	after eventstore.Position
	ended int
}

func (p *progress) read(ctx context.Context, log eventstore.LogReader) error {
	read, err := log.ReadLog(ctx, eventstore.LogQuery{Query: eventstore.Types("saga.ended"), After: p.after})
	if err != nil {
		return err
	}
	for m, err := range read.Events() {
		if err != nil {
			return err
		}
		p.after = m.Position
		p.ended++
	}
	p.after = read.Through.Position
	return nil
}

func tortureOf(t *testing.T, x torture) {
	x.at.opens(t)
	stop := x.keepsRequesting()
	hit := map[saga.Point]int{}
	for range eventstoretest.Scale {
		for _, point := range saga.Points { // each of them in turn
			if killed(x.starts(string(point)).Wait()) {
				hit[point]++
			}
		}
	}
	for _, point := range saga.Points {
		require.Positive(t, hit[point], "no worker died %s", point)
	}
	kills, pauses := 0, 0
	workers := []*exec.Cmd{x.starts(""), x.starts("")}
	for n := range 25 * eventstoretest.Scale {
		victim := n % len(workers)
		x.at.goesOn(t, 30) // the fault comes at any moment
		if n%4 == 3 {
			require.NoError(t, workers[victim].Process.Signal(syscall.SIGSTOP))
			time.Sleep(300 * time.Millisecond) // past its lease, which is a matter of time
			require.NoError(t, workers[victim].Process.Signal(syscall.SIGCONT))
			pauses++
		}
		require.NoError(t, workers[victim].Process.Kill())
		require.True(t, killed(workers[victim].Wait()), "a worker has ended by itself")
		kills++
		workers[victim] = x.starts("")
	}
	for _, w := range workers {
		require.NoError(t, w.Process.Kill())
		_ = w.Wait()
	}
	requests := stop()
	require.NoError(t, x.ends(requests, time.Minute*time.Duration(eventstoretest.Scale)))
	t.Logf("%s: %d transfers and orders; died at the points %v, at random %d times after %d pauses", x.at.name, requests, hit, kills, pauses)
}

func TestTortureSagasEndAsIfNothingHadHappenedOnSQLite(t *testing.T) {
	t.Parallel()
	tortureOf(t, onSQLite(t))
}

func TestTortureSagasEndAsIfNothingHadHappenedOnPostgres(t *testing.T) {
	t.Parallel()
	tortureOf(t, onPostgres(t))
}

func TestTortureCatchesCommandsOutsideTheAppend(t *testing.T) {
	t.Parallel()
	x := onSQLite(t)
	x.at.opens(t)
	require.NoError(t, x.at.requestsNth(t.Context(), 0))
	require.True(t, killed(x.starts(outsideTheAppend).Wait()))
	require.ErrorContains(t, x.ends(1, 3*time.Second), "1 instances have not ended")
}
