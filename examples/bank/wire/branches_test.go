package wire_test

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/bank/account"
	"github.com/leftfold/leftfold/examples/bank/wire"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/saga"
)

// branches are London and Leeds, each with a file of its own.
type branches struct{ london, leeds *sqlite.Store }

func open(t *testing.T, dir string) branches {
	t.Helper()
	one := func(name string) *sqlite.Store {
		store, err := sqlite.Open(t.Context(), filepath.Join(dir, name), sqlite.Options{})
		require.NoError(t, err)
		return store
	}
	return branches{one("london.db"), one("leeds.db")}
}

func (b branches) close(t *testing.T) {
	t.Helper()
	require.NoError(t, b.london.Close(context.Background()))
	require.NoError(t, b.leeds.Close(context.Background()))
}

// before opens Fay's account in London with 1,000.00, and Gus's in Leeds.
func (b branches) before(t *testing.T) {
	t.Helper()
	decide(t, b.london, account.Accounts, "fay", account.Open("Fay", "EUR"))
	decide(t, b.london, account.Accounts, "fay", account.Deposit(1000_00, ""))
	decide(t, b.leeds, account.Accounts, "gus", account.Open("Gus", "EUR"))
}

func decide[S, E any](t *testing.T, store aggregate.Store, of *aggregate.Type[S, E], id string, what aggregate.Decision[S, E]) {
	t.Helper()
	_, err := aggregate.NewRepository(store, of).Execute(t.Context(), id, what)
	require.NoError(t, err)
}

func (b branches) orders(t *testing.T, id string, cents int64) {
	t.Helper()
	o := order
	o.Cents = cents
	decide(t, b.london, wire.Orders, id, wire.Place(o))
}

// holds is what Fay and Gus have.
func (b branches) holds(t *testing.T) [2]int64 {
	t.Helper()
	fay, _, err := aggregate.NewRepository(b.london, account.Accounts).Load(t.Context(), "fay")
	require.NoError(t, err)
	gus, _, err := aggregate.NewRepository(b.leeds, account.Accounts).Load(t.Context(), "gus")
	require.NoError(t, err)
	return [2]int64{fay.Cents, gus.Cents}
}

func (b branches) worker() saga.Worker {
	return saga.Worker{
		Store: b.london, Sources: []eventstore.LogReader{b.london, b.leeds}, Sink: b.london.Sink(),
		Sagas:      []saga.Saga{wire.Wires, wire.Clerk},
		Dispatcher: wire.Branches{"london": saga.ToBus(wire.NewBranch(b.london)), "leeds": saga.ToBus(wire.NewBranch(b.leeds))},
	}
}

// runs has the worker work while the test does something.
func runs(t *testing.T, w saga.Worker, meanwhile func(ctx context.Context)) {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	meanwhile(ctx)
	stop()
	require.NoError(t, <-ended)
}

// awaits waits until the row of a wire is as it should be.
func (b branches) awaits(t *testing.T, id string, is func(saga.Instance) bool) {
	t.Helper()
	rows := projection.NewReader(b.london.Sink(), wire.Wires.Instances())
	var row saga.Instance
	require.Eventually(t, func() bool {
		var err error
		row, err = rows.Get(t.Context(), id)
		return err == nil && is(row)
	}, 30*time.Second, 2*time.Millisecond, "wire %s: %+v", id, &row)
}

func inPhase(want saga.Phase) func(saga.Instance) bool {
	return func(row saga.Instance) bool { return row.Phase == want }
}

// The worker is stopped when the money has left London: before it has arrived in Leeds, or after that,
// when nobody has heard of it yet. The next one finishes the wire.
func TestAWireGoesOnWhereItsWorkerWasStopped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrived bool
		between [2]int64
	}{
		"before the money has arrived":             {false, [2]int64{970_00, 0}},
		"after that, and before anybody has heard": {true, [2]int64{970_00, 30_00}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			bank := open(t, dir)
			bank.before(t)
			bank.orders(t, "rent", 30_00)
			first := bank.worker()
			ctx, stop := context.WithCancel(t.Context())
			asItIs := first.Dispatcher
			first.Dispatcher = saga.DispatcherFunc(func(within context.Context, sent saga.Command) error {
				if sent.Name != "account.receive" {
					return asItIs.Dispatch(within, sent)
				}
				if c.arrived {
					assert.NoError(t, asItIs.Dispatch(within, sent))
				}
				stop()
				<-within.Done()
				return within.Err()
			})
			require.NoError(t, first.Run(ctx))
			assert.Equal(t, c.between, bank.holds(t))
			bank.close(t)

			bank = open(t, dir)
			defer bank.close(t)
			runs(t, bank.worker(), func(context.Context) { bank.awaits(t, "rent", inPhase(saga.Completed)) })
			assert.Equal(t, [2]int64{970_00, 30_00}, bank.holds(t))
		})
	}
}

// A large wire waits for people, the clock of the worker is moved, and the money is back.
func TestALargeWireThatNobodyAnswersGoesBack(t *testing.T) {
	t.Parallel()
	bank := open(t, t.TempDir())
	defer bank.close(t)
	bank.before(t)
	bank.orders(t, "car", 800_00)
	var later atomic.Int64
	worker := bank.worker()
	worker.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	runs(t, worker, func(context.Context) {
		bank.awaits(t, "car", func(row saga.Instance) bool { return row.Step == "approve" })
		bank.orders(t, "boat", 900_00) // of which there is no more so much
		bank.awaits(t, "boat", inPhase(saga.Compensated))
		assert.Equal(t, [2]int64{200_00, 0}, bank.holds(t))
		later.Store(int64(48 * time.Hour))
		bank.awaits(t, "car", inPhase(saga.Compensated))
	})
	assert.Equal(t, [2]int64{1000_00, 0}, bank.holds(t))
}
