package query_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/query"
)

// growing is a log to which an event is appended every 10 ms. To read its head takes a while, and
// shows what was there at the middle of that.
type growing struct {
	start time.Time
	takes time.Duration
	stale time.Duration // a planted bug: the head that is shown is older than the read by this
	reads atomic.Int32
}

func (l *growing) at(moment time.Time) eventstore.Position {
	return eventstore.Position(moment.Sub(l.start) / (10 * time.Millisecond))
}

func (l *growing) Head(ctx context.Context) (eventstore.Token, error) {
	l.reads.Add(1)
	began := time.Now()
	if err := pass(ctx, l.takes/2); err != nil {
		return eventstore.Token{}, err
	}
	shown := time.Now()
	if l.stale > 0 {
		shown = began.Add(-l.stale)
	}
	return at(max(l.at(shown), 0), here), pass(ctx, l.takes-l.takes/2)
}

// pass lets the time of a bubble pass.
func pass(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// checkStaleness asks at many moments for an answer that is at most so old, of a model that has
// come exactly as far as it must and never further, and reports one that is older.
func checkStaleness(t *testing.T, most, stale time.Duration) (reads int32, err error) {
	synctest.Test(t, func(t *testing.T) {
		log := &growing{start: time.Now(), takes: 200 * time.Millisecond, stale: stale}
		m := follows("orders", at(0, here))
		bus := query.NewBus()
		query.Handle(bus, "how_far", func(ctx context.Context, q howFar) (eventstore.Position, error) {
			for _, token := range query.Required(ctx) {
				m.move(at(max(m.now(here.Store), token.Position), here))
			}
			return m.read(ctx, q.Store)
		}, query.Reads("orders"))
		bus.Follow(query.NewHead(log))
		for n := range 200 {
			time.Sleep(time.Duration(7*n%400) * time.Millisecond)
			asked := time.Now()
			got, failed := ask(t.Context(), bus, query.MaxStale(most))
			require.NoError(t, failed)
			if must := log.at(asked.Add(-max(most, 0))); got < must {
				err = fmt.Errorf("the answer is of position %d, and %v before the question there were %d", got, most, must)
			}
		}
		reads = log.reads.Load()
	})
	return reads, err
}

func TestAnAnswerIsNoOlderThanMaxStale(t *testing.T) {
	t.Parallel()
	for _, most := range []time.Duration{-time.Second, 0, time.Millisecond, 300 * time.Millisecond, 5 * time.Second} {
		reads, err := checkStaleness(t, most, 0)
		require.NoError(t, err)
		if most <= 0 {
			assert.EqualValues(t, 200, reads, "one after each question began")
		}
	}
}

// The twins take a head for one of a later moment than that at which the log was so far.
func TestPlantedBugAHeadThatIsOlderThanItsMomentIsFound(t *testing.T) {
	t.Parallel()
	for bug, stale := range map[string]time.Duration{
		"a cached head counts beyond its time":       2 * time.Second,
		"a head is dated at the end of the read":     100 * time.Millisecond,
		"a head counts that was read for one before": 20 * time.Millisecond,
	} {
		for _, most := range []time.Duration{0, 300 * time.Millisecond} {
			_, err := checkStaleness(t, most, stale)
			require.Error(t, err, "the mutant survived: %s", bug)
			t.Logf("caught: %s: %v", bug, err)
		}
	}
}

func TestAHeadIsReadAtMostOnceInTheTimeThatAnAnswerMayBeOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &growing{start: time.Now()}
		bus := busOver(follows("orders", at(1e6, here)))
		bus.Follow(query.NewHead(log))
		for n := range 1000 { // 10 s
			_, err := ask(t.Context(), bus, query.MaxStale(time.Second))
			require.NoError(t, err)
			assert.LessOrEqual(t, log.reads.Load(), int32(n/100)+1)
			time.Sleep(10 * time.Millisecond)
		}
		assert.EqualValues(t, 10, log.reads.Load())
	})
}

// A read that takes long says what was there when it began, and not when it ended.
func TestTheAgeOfAnAnswerCountsFromTheBeginningOfTheRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &growing{start: time.Now(), takes: 2 * time.Second}
		time.Sleep(10 * time.Second)
		m := follows("orders", at(1e6, here)) // it has all
		bus := busOver(m)
		bus.Follow(query.NewHead(l))
		began := time.Now()
		var told query.Freshness
		_, err := ask(t.Context(), bus, query.MaxStale(0), query.Tell(&told))
		require.NoError(t, err)
		assert.Equal(t, began, told.AsOf, "the read has ended 2 s later")

		_, err = ask(t.Context(), bus, query.MaxStale(time.Second), query.Tell(&told))
		require.NoError(t, err)
		assert.EqualValues(t, 2, l.reads.Load(), "what was known is 2 s old")
		_, err = ask(t.Context(), bus, query.MaxStale(3*time.Second), query.Tell(&told))
		require.NoError(t, err)
		assert.EqualValues(t, 2, l.reads.Load())
		assert.Equal(t, began.Add(2*time.Second), told.AsOf)
	})
}

// The clock of a bubble stands still while nobody sleeps, as coarse clocks do for a while.
func TestAQuestionInTheSameMomentAsAReadIsNotAnsweredWithIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &still{token: at(1, here)}
		m := follows("orders", at(1, here))
		bus := busOver(m)
		bus.Follow(query.NewHead(log))
		_, err := ask(t.Context(), bus, query.MaxStale(0))
		require.NoError(t, err)
		log.token.Position = 2
		_, err = ask(t.Context(), bus, query.MaxStale(0), query.Wait(0))
		_, late := errors.AsType[*query.NotCaughtUpError](err)
		assert.True(t, late, "%v", err)
	})
}

// still is a log that moves when it is told to.
type still struct {
	token eventstore.Token
	hangs bool
	err   error
}

func (l *still) Head(ctx context.Context) (eventstore.Token, error) {
	if l.hangs {
		<-ctx.Done()
		return eventstore.Token{}, ctx.Err()
	}
	return l.token, l.err
}

func TestQuestionsThatComeMeanwhileShareARead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &growing{start: time.Now(), takes: 100 * time.Millisecond}
		bus := busOver(follows("orders", at(1e6, here)))
		bus.Follow(query.NewHead(l))
		var asking sync.WaitGroup
		for n := range 50 {
			asking.Go(func() {
				time.Sleep(time.Duration(n) * time.Millisecond)
				_, err := ask(t.Context(), bus, query.MaxStale(0))
				assert.NoError(t, err)
			})
		}
		asking.Wait()
		assert.EqualValues(t, 2, l.reads.Load(), "the first one's, and that of all who came during it")
	})
}

func TestAHeadThatCannotBeReadFailsTheCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &still{err: errors.New("no connection")}
		bus := busOver(follows("orders", at(9, here)))
		bus.Follow(query.NewHead(log))
		var told query.Freshness
		_, err := ask(t.Context(), bus, query.MaxStale(time.Minute), query.OrStale(&told))
		require.ErrorIs(t, err, log.err, "an age that nobody knows is no age below a minute")
		assert.Zero(t, told)

		log.err, log.hangs = nil, true
		began := time.Now()
		var asking sync.WaitGroup
		for range 3 {
			asking.Go(func() {
				_, err := ask(context.Background(), bus, query.MaxStale(time.Minute))
				assert.ErrorIs(t, err, context.DeadlineExceeded)
				assert.ErrorContains(t, err, "the log has not answered within 5s")
			})
		}
		asking.Wait()
		assert.Equal(t, 5*time.Second, time.Since(began), "who has no deadline holds nobody up for longer")

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = ask(ctx, bus, query.MaxStale(time.Minute))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 6*time.Second, time.Since(began), "and the caller's deadline counts")

		_, err = ask(t.Context(), bus)
		require.NoError(t, err, "a question without MaxStale has no need of it")
	})
}

func TestAnAgeThatNobodyCanTellIsAnError(t *testing.T) {
	t.Parallel()
	bus := busOver(follows("orders", at(9, here)))
	_, err := ask(t.Context(), bus, query.MaxStale(time.Hour))
	require.ErrorIs(t, err, query.ErrUnknownAge, "the bus knows no log")
	assert.ErrorContains(t, err, "Bus.Follow")

	bus.Follow(query.NewHead(&still{token: at(0, there)}))
	_, err = ask(t.Context(), bus, query.MaxStale(time.Hour))
	require.ErrorIs(t, err, query.ErrUnknownAge, "it knows another one")
	assert.ErrorContains(t, err, "orders follows store "+here.Store.String())

	query.Handle(bus, "elsewhere", func(ctx context.Context, _ label) (int, error) {
		query.Include(ctx, "billing", at(1, there), at(1, here))
		return 1, nil
	})
	_, err = query.Ask[int](t.Context(), bus, label{}, query.MaxStale(time.Hour))
	require.ErrorIs(t, err, query.ErrUnknownAge, "a part of the answer is from another one")

	query.Handle(bus, "nowhere", func(context.Context, double) (int, error) { return 1, nil })
	_, err = query.Ask[int](t.Context(), bus, double{}, query.MaxStale(time.Hour))
	require.ErrorIs(t, err, query.ErrUnknownAge, "nobody says what the answer includes")
	assert.ErrorContains(t, err, "no reader of this query")

	var told query.Freshness
	_, err = ask(t.Context(), bus, query.Tell(&told))
	require.NoError(t, err)
	assert.Zero(t, told.AsOf)
}

func TestSeveralLogsAreEachNoOlder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		orders, stock := follows("orders", at(5, here)), follows("stock", at(6, there))
		bus := query.NewBus()
		query.Handle(bus, "both", func(ctx context.Context, _ double) (int, error) {
			_, err := orders.read(ctx, here.Store)
			_, err2 := stock.read(ctx, there.Store)
			return 0, errors.Join(err, err2)
		}, query.Reads("orders", "stock"))
		one, two := &still{token: at(5, here)}, &still{token: at(6, there)}
		bus.Follow(query.NewHead(one), query.NewHead(two))
		began := time.Now()
		both := func(options ...query.AskOption) error {
			_, err := query.Ask[int](t.Context(), bus, double{}, append(options, query.Wait(0))...)
			return err
		}
		var told query.Freshness
		require.NoError(t, both(query.MaxStale(0), query.Tell(&told)))
		assert.Equal(t, began, told.AsOf)

		time.Sleep(time.Minute)
		two.token.Position = 7
		late, ok := errors.AsType[*query.NotCaughtUpError](both(query.MaxStale(0)))
		require.True(t, ok)
		assert.Equal(t, &query.NotCaughtUpError{Model: "stock", At: 6, Want: at(7, there), Err: context.DeadlineExceeded}, late)

		require.NoError(t, both(query.Tell(&told)))
		assert.Equal(t, began, told.AsOf, "the older one counts")
		require.NoError(t, both(query.MaxStale(0), query.OrStale(&told)))
		assert.Equal(t, []eventstore.Token{at(7, there)}, told.Missing)
		stock.move(at(7, there))
		require.NoError(t, both(query.MaxStale(time.Hour), query.Tell(&told)))
		assert.Equal(t, began.Add(time.Minute), told.AsOf)
	})
}

// The log was restored: it goes on from position 5, of 9.
func TestAHeadOfAPastLifeIsForgottenOnceAReaderHasSeenTheNewOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := eventstore.Identity{Store: here.Store, Incarnation: here.Incarnation + 1}
		log := &still{token: at(9, here)}
		m := follows("orders", at(9, here))
		bus := busOver(m)
		bus.Follow(query.NewHead(log))
		_, err := ask(t.Context(), bus, query.MaxStale(time.Hour))
		require.NoError(t, err)
		time.Sleep(time.Minute)

		log.token = at(6, next)
		m.move(at(6, next))
		_, err = ask(t.Context(), bus, query.MaxStale(time.Hour), query.Wait(0))
		_, late := errors.AsType[*query.NotCaughtUpError](err)
		require.True(t, late, "the head that was known is of position 9, and nobody knows what became of that: %v", err)

		var told query.Freshness
		got, err := ask(t.Context(), bus, query.MaxStale(time.Hour), query.Wait(0), query.Tell(&told))
		require.NoError(t, err, "the head is read again")
		assert.EqualValues(t, 6, got)
		assert.Equal(t, time.Now(), told.AsOf)

		log.token = at(7, next)
		_, err = ask(t.Context(), bus, query.MaxStale(0), query.Wait(0))
		require.Error(t, err, "and counts")
	})
}
