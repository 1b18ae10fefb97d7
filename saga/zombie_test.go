package saga_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/saga"
)

var errLost = errors.New("the answer was lost")

// losing delivers each command and loses the first answer, so that it is tried again.
func losing(to saga.Dispatcher) saga.Dispatcher {
	var seen sync.Map
	return saga.DispatcherFunc(func(ctx context.Context, c saga.Command) error {
		err := to.Dispatch(ctx, c)
		if _, again := seen.LoadOrStore(c.ID, true); !again {
			return errLost
		}
		return err
	})
}

// renaming is a mutant: it gives a command another id each time.
func renaming(to saga.Dispatcher) saga.Dispatcher {
	return saga.DispatcherFunc(func(ctx context.Context, c saga.Command) error {
		c.ID = eventstore.NewEventID().String()
		return to.Dispatch(ctx, c)
	})
}

// outcome is what has become of the accounts.
type outcome struct {
	ann, bob int64
	moves    int // events of ann's account
}

var wanted = outcome{ann: 970, bob: 30, moves: 4}

// asleepAt has a worker fall asleep at a point. Another one, which knows nothing of the first one's
// checkpoints and leases, does everything again and comes to the end; then the first one wakes up and
// goes on with what it was about to do. That is worse than a worker that sleeps past its lease.
func asleepAt(t *testing.T, point saga.Point, through func(saga.Dispatcher) saga.Dispatcher) outcome {
	t.Helper()
	at := place{store: memory.NewStore(), sink: memory.NewSink()}
	at.deposits(t, "ann", 1000)
	at.closes(t, "zoe")
	at.requests(t, requested{"t1", "ann", "bob", 30}, requested{"t2", "ann", "zoe", 20})
	dispatcher := losing(through(saga.ToBus(newBank(at.store))))

	asleep, awake := make(chan struct{}), make(chan struct{})
	var once sync.Once
	first := at.worker(t)
	first.Dispatcher = dispatcher
	first.Hooks.Fault = func(p saga.Point) {
		if p == point {
			once.Do(func() {
				close(asleep)
				<-awake
			})
		}
	}
	wakeUp := sync.OnceFunc(func() { close(awake) })
	stop := runs(t, first)
	t.Cleanup(wakeUp) // before it is stopped
	<-asleep

	other := at
	other.sink = memory.NewSink()
	second := other.worker(t)
	second.Dispatcher = dispatcher
	stopSecond := runs(t, second)
	awaits(t, other, "t1", saga.Completed)
	awaits(t, other, "t2", saga.Compensated)
	stopSecond()

	wakeUp()
	at.isIdle(t, first)
	awaits(t, at, "t1", saga.Completed)
	awaits(t, at, "t2", saga.Compensated)
	stop()
	now := outcome{ann: at.balance(t, "ann"), bob: at.balance(t, "bob")}
	for _, err := range at.store.ReadStream(t.Context(), accounts.Stream("ann"), eventstore.StreamRange{}) {
		require.NoError(t, err)
		now.moves++
	}
	return now
}

func TestAWorkerThatSleepsAtAnyPointDoesNoHarm(t *testing.T) {
	t.Parallel()
	for _, point := range saga.Points {
		t.Run(string(point), func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, wanted, asleepAt(t, point, func(to saga.Dispatcher) saga.Dispatcher { return to }))
		})
	}
}

func TestMutantIdsThatChangeMoveTheMoneyTwice(t *testing.T) {
	t.Parallel()
	assert.NotEqual(t, wanted, asleepAt(t, saga.AfterDispatch, renaming))
}

// Command ids are forgotten, and the checkpoints are lost: what an instance was told stands in its
// own stream.
func TestForgottenCommandIdsChangeNothing(t *testing.T) {
	t.Parallel()
	at := place{store: memory.NewStore(), sink: memory.NewSink()}
	at.deposits(t, "ann", 1000)
	at.requests(t, requested{"t1", "ann", "bob", 30})
	stop := runs(t, at.worker(t))
	awaits(t, at, "t1", saga.Completed)
	stop()
	_, err := at.store.(eventstore.CommandPruner).PruneCommands(t.Context(), time.Now().Add(time.Hour))
	require.NoError(t, err)
	before, err := at.store.Head(t.Context())
	require.NoError(t, err)

	at.sink = memory.NewSink()
	runs(t, at.worker(t))
	awaits(t, at, "t1", saga.Completed)
	at.isIdle(t, at.worker(t))
	after, err := at.store.Head(t.Context())
	require.NoError(t, err)
	assert.Equal(t, before, after)
}
