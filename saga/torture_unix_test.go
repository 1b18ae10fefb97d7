//go:build unix

package saga_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
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

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/adapters/postgres/postgrestest"
	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/saga"
)

// The torture runs its own binary again, as workers that are killed.
const (
	childFile = "LEFTFOLD_SAGA_CHILD_FILE" // of SQLite,
	childURL  = "LEFTFOLD_SAGA_CHILD_URL"  // or of Postgres
	childDies = "LEFTFOLD_SAGA_CHILD_DIES" // at which point; empty: it is killed
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

// tortured takes the money and a fee, gives both at the same time, and may have to undo all of it.
var tortured = saga.Define("tortured", saga.Definition[requested]{
	Events: []*codec.Set{transferOrders.Events(), accounts.Events()},
	On: []saga.Rule[requested]{
		saga.Begin(func(e requested, _ eventstore.Recorded) string { return e.ID },
			func(t *requested, e requested, _ eventstore.Recorded) { *t = e }),
		saga.On[requested](func(e withdrawn, _ eventstore.Recorded) string { return e.Transfer }, nil),
	},
	Steps: []saga.Step[requested]{
		{
			Name:    "withdraw",
			Do:      saga.Send("account.withdraw", func(t requested) withdraw { return withdraw{t.From, t.Cents + 1, t.ID} }),
			Done:    []saga.Match{saga.By[withdrawn]()},
			Timeout: time.Hour,
			Undo:    saga.Send("account.deposit", func(t requested) deposit { return deposit{t.From, t.Cents + 1, t.ID} }),
		},
		{Name: "deposit", Do: saga.Send("account.deposit", func(t requested) deposit { return deposit{t.To, t.Cents, t.ID} })},
		{
			Name:     "fee",
			Do:       saga.Send("account.deposit", func(t requested) deposit { return deposit{"house", 1, t.ID} }),
			Undo:     saga.Send("account.withdraw", func(t requested) withdraw { return withdraw{"house", 1, ""} }),
			Together: true,
		},
	},
	Retry: saga.Retry{First: time.Millisecond, Most: 20 * time.Millisecond, Attempts: 1000},
})

const funds = 1_000_000

// child works until it is killed.
func child(ctx context.Context) error {
	at, err := openChild(ctx)
	if err != nil {
		return err
	}
	w := torturedWorker(at)
	point := saga.Point(os.Getenv(childDies))
	left := atomic.Int64{}
	left.Store(1 + rand.Int64N(3))
	w.Hooks.Fault = func(p saga.Point) {
		if p == point && left.Add(-1) == 0 {
			die()
		}
	}
	if os.Getenv(childDies) == outsideTheAppend {
		w.Store = outside{at.store}
	}
	fmt.Println("ready")
	return w.Run(ctx)
}

func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

func torturedWorker(at place) saga.Worker {
	bank := saga.ToBus(newBank(at.store))
	return saga.Worker{
		Store: at.store, Sink: at.sink, Sagas: []saga.Saga{tortured}, TTL: 100 * time.Millisecond, DispatchTimeout: 10 * time.Second, Segments: 2, Window: 20,
		Dispatcher: saga.DispatcherFunc(func(ctx context.Context, c saga.Command) error {
			err := bank.Dispatch(ctx, c)
			if rand.N(5) == 0 { // the answer is lost
				return errLost
			}
			return err
		}),
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
	t   *testing.T
	at  place
	env string
}

func onSQLite(t *testing.T) torture {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sagas.db")
	store := openSQLite(t, file)
	return torture{t, place{"sqlite", store, store.Sink()}, childFile + "=" + file}
}

func onPostgres(t *testing.T) torture {
	t.Helper()
	pool := postgrestest.Pool(t)
	store, err := postgres.Open(t.Context(), pool, postgres.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
	return torture{t, place{"postgres", store, store.Sink()}, childURL + "=" + pool.Config().ConnString()}
}

// starts starts a worker and waits until it works. It is killed at the end of the test at the latest.
func (x torture) starts(dies string) *exec.Cmd {
	x.t.Helper()
	process := exec.CommandContext(x.t.Context(), os.Args[0])
	process.Env = append(os.Environ(), x.env, childDies+"="+dies)
	process.Stderr = os.Stderr
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

// opens opens the accounts.
func (x torture) opens() {
	x.at.deposits(x.t, "ann", funds)
	x.at.deposits(x.t, "house", funds)
	x.at.closes(x.t, "zoe")
}

// transfer returns the nth order. Each third one cannot be carried out.
func nth(n int) requested {
	to := "bob"
	if n%3 == 0 {
		to = "zoe"
	}
	return requested{ID: fmt.Sprintf("t%05d", n), From: "ann", To: to, Cents: int64(n)}
}

// keepsRequesting requests transfers until it is stopped, which returns how many there are.
func (x torture) keepsRequesting() (stop func() int) {
	ctx, cancel := context.WithCancel(x.t.Context())
	var all sync.WaitGroup
	n := 0
	all.Go(func() {
		repository := aggregate.NewRepository(x.at.store, transferOrders)
		for ; ctx.Err() == nil; n++ {
			_, err := repository.Execute(context.WithoutCancel(ctx), nth(n).ID, func(orders) ([]orderEvent, error) { return []orderEvent{nth(n)}, nil },
				aggregate.CommandID(nth(n).ID))
			if err != nil {
				x.t.Errorf("request: %v", err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	return func() int { cancel(); all.Wait(); return n }
}

// ends has one worker, which nothing happens to, bring everything to its end, and returns why not all
// of it is as it would be if nothing had ever happened.
func (x torture) ends(transfers int, within time.Duration) error {
	x.t.Helper()
	w := torturedWorker(x.at)
	w.TTL = 10 * time.Second // nobody takes anything away from it
	stop := runs(x.t, w)
	defer stop()
	var seen progress
	for deadline := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		err := seen.read(x.t.Context(), x.at.store)
		if err == nil && seen.live == 0 {
			break
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("%d instances have not ended", seen.live), err)
		}
	}
	var want outcome
	moves := map[string]int{}
	want.ann = funds
	for n := range transfers {
		r := nth(n)
		moves[r.ID] = 2 // the money, and back again or the fee
		if r.To == "bob" {
			want.ann -= r.Cents + 1
			want.bob += r.Cents
		}
	}
	got := outcome{ann: x.at.balance(x.t, "ann"), bob: x.at.balance(x.t, "bob")}
	if got != want {
		return fmt.Errorf("got  %+v\nwant %+v", got, want)
	}
	if sum := got.ann + got.bob + x.at.balance(x.t, "house"); sum != 2*funds {
		return fmt.Errorf("the sum is %d, want %d", sum, 2*funds)
	}
	return x.check(transfers)
}

// progress counts the instances that have not ended, and the orders for which there is none yet. It
// reads what is new of the log.
type progress struct {
	after eventstore.Position
	live  int
}

func (p *progress) read(ctx context.Context, log eventstore.LogReader) error {
	read, err := log.ReadLog(ctx, eventstore.LogQuery{Query: eventstore.Types("transfer.requested", "saga.ended"), After: p.after})
	if err != nil {
		return err
	}
	for m, err := range read.Events() {
		if err != nil {
			return err
		}
		if p.after = m.Position; m.Type == "saga.ended" {
			p.live--
		} else {
			p.live++
		}
	}
	p.after = read.Through.Position
	return nil
}

// check looks at each instance by itself.
func (x torture) check(transfers int) error {
	report, err := tortured.Check(x.t.Context(), x.at.store)
	if err != nil || report.Instances != transfers || report.Live != 0 {
		return fmt.Errorf("report %+v: %w", report, err)
	}
	for n := range transfers {
		entries, err := tortured.Timeline(x.t.Context(), x.at.store, nth(n).ID)
		if err != nil {
			return err
		}
		want, undone := saga.Completed, 0
		if nth(n).To == "zoe" {
			want, undone = saga.Compensated, 2
		}
		if got := entries[len(entries)-1]; count(entries, "saga.ended") != 1 || count(entries, "saga.step.undone") != undone || phaseIn(entries) != want {
			return fmt.Errorf("instance %s ended with %s, and %d steps are undone; want %s, %d", nth(n).ID, got, count(entries, "saga.step.undone"), want, undone)
		}
	}
	return nil
}

func phaseIn(entries []saga.Entry) (phase saga.Phase) {
	for _, e := range entries {
		phase += e.Phase
	}
	return phase
}

func tortureOf(t *testing.T, x torture) {
	x.opens()
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
		time.Sleep(rand.N(150 * time.Millisecond)) // the fault comes at any moment
		if n%4 == 3 {                              // it sleeps past its lease
			require.NoError(t, workers[victim].Process.Signal(syscall.SIGSTOP))
			time.Sleep(150 * time.Millisecond)
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
	transfers := stop()
	require.NoError(t, x.ends(transfers, time.Minute))
	t.Logf("%s: %d transfers; died at the points %v, at random %d times after %d pauses", x.at.name, transfers, hit, kills, pauses)
}

func TestTortureSagasEndAsIfNothingHadHappenedOnSQLite(t *testing.T) { tortureOf(t, onSQLite(t)) }

func TestTortureSagasEndAsIfNothingHadHappenedOnPostgres(t *testing.T) { tortureOf(t, onPostgres(t)) }

func TestTortureCatchesCommandsOutsideTheAppend(t *testing.T) {
	x := onSQLite(t)
	x.opens()
	x.at.requests(t, nth(0))
	require.True(t, killed(x.starts(outsideTheAppend).Wait()))
	require.ErrorContains(t, x.ends(1, 3*time.Second), "1 instances have not ended")
}
