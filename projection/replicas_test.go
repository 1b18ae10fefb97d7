package projection_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// server is a server that keeps accounts, as far as it has come: the account a has as many cents.
type server struct {
	mu     sync.Mutex
	at     eventstore.Position
	ahead  eventstore.Position // how much further the segment of the account a is
	stage  projection.Stage
	lag    time.Duration
	err    error
	hangs  bool
	takes  time.Duration
	parked []projection.Parked
	lost   projection.Generation // cannot be read
	also   *eventstore.Identity  // a store that it follows too, from position 0
	looks  int
}

var life = eventstore.Identity{Store: eventstore.StoreID{1}, Incarnation: 1}

func tokenAt(position eventstore.Position) eventstore.Token {
	return eventstore.Token{Identity: life, Position: position}
}

func (s *server) set(change func(s *server)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *server) down(err error) { s.set(func(s *server) { s.err = err }) }

func (s *server) answer(ctx context.Context) error {
	s.mu.Lock()
	hangs, takes, err := s.hangs, s.takes, s.err
	s.mu.Unlock()
	if hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(takes):
		return err
	}
}

func (s *server) Look(ctx context.Context, model projection.Model, _ projection.RowQuery) (projection.Look, error) {
	err := s.answer(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.looks++
	if err == nil && s.lost == model.Generation {
		err = errLost
	}
	if err != nil {
		return projection.Look{}, err
	}
	row := projection.Row{Key: "a", Values: make([]any, len(model.Columns))}
	for n, column := range model.Columns {
		switch column.Kind {
		case projection.Int:
			row.Values[n] = int64(s.at + s.ahead)
		case projection.JSON:
			row.Values[n] = "null"
		case projection.Text:
			row.Values[n] = ""
		default:
		}
	}
	look := projection.Look{Stage: s.stage, Live: model.Generation, Rows: []projection.Row{row}, Followed: []projection.Followed{{
		Applied: subscription.Checkpoint{Source: life, Anchor: eventstore.Anchor{Position: s.at}},
		Newest:  subscription.Checkpoint{Source: life, Anchor: eventstore.Anchor{Position: s.at + s.ahead}},
		Parked:  s.parked,
	}}}
	if s.also != nil {
		look.Followed = append(look.Followed, projection.Followed{Applied: subscription.Checkpoint{Source: *s.also}, Newest: subscription.Checkpoint{Source: *s.also}})
	}
	return look, nil
}

func (s *server) Changed() <-chan struct{} { return nil }

func (s *server) probe(ctx context.Context) (time.Duration, error) {
	err := s.answer(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lag, err
}

// fleet is a primary with two replicas.
type fleet struct {
	*projection.Replicas

	primary, one, two *server
	queries           *query.Bus
}

type getCents struct{}

// inFleet runs a test in a bubble, with servers that are all at position 10.
func inFleet(t *testing.T, test func(t *testing.T, f *fleet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fleet{queries: query.NewBus()}
		for _, s := range []**server{&f.primary, &f.one, &f.two} {
			*s = &server{at: 10, stage: projection.Live}
		}
		f.Replicas = projection.NewReplicas(t.Context(), f.primary, []projection.Replica{
			{Name: "one", Sink: f.one, Probe: f.one.probe}, {Name: "two", Sink: f.two, Probe: f.two.probe},
		}, projection.ReplicasOptions{Logger: slog.New(slog.DiscardHandler)})
		defer f.Close()
		reader := projection.NewReader(f.Replicas, accounts)
		query.Handle(f.queries, "cents", func(ctx context.Context, _ getCents) (int64, error) {
			row, err := reader.Get(ctx, "a")
			return row.Cents, err
		}, query.Reads("accounts"))
		test(t, f)
	})
}

func (f *fleet) ask(ctx context.Context, options ...query.AskOption) (int64, error) {
	return query.Ask[int64](ctx, f.queries, getCents{}, options...)
}

// asked returns how many questions each server was asked since the last call: the primary, one, two.
func (f *fleet) asked() (looks [3]int) {
	for n, s := range []*server{f.primary, f.one, f.two} {
		s.set(func(s *server) { looks[n], s.looks = s.looks, 0 })
	}
	return looks
}

func TestReplicasThatAreEquallyFarAnswerInTurn(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		for range 10 {
			_, err := f.ask(t.Context())
			require.NoError(t, err)
		}
		assert.Equal(t, [3]int{0, 5, 5}, f.asked())
		for range 10 {
			_, err := f.ask(t.Context(), query.After(tokenAt(10)))
			require.NoError(t, err)
		}
		assert.Equal(t, [3]int{0, 5, 5}, f.asked())
	})
}

func TestTheReplicaThatLagsLeastAnswersAndNoneThatLagsTooMuch(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		f.one.set(func(s *server) { s.lag = 5 * time.Second })
		time.Sleep(time.Second + 1) // a probe later
		_, err := f.ask(t.Context())
		require.NoError(t, err)
		assert.Equal(t, [3]int{0, 0, 1}, f.asked())
		f.two.set(func(s *server) { s.lag = 11 * time.Second })
		time.Sleep(time.Second)
		_, err = f.ask(t.Context())
		require.NoError(t, err)
		assert.Equal(t, [3]int{0, 1, 0}, f.asked())
		f.one.set(func(s *server) { s.lag = -1 })
		time.Sleep(time.Second)
		_, err = f.ask(t.Context())
		require.NoError(t, err)
		assert.Equal(t, [3]int{1, 0, 0}, f.asked(), "nobody knows how old it is")
	})
}

func TestAnAnswerAfterATokenComesFromAReplicaThatHasItOrFromThePrimary(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		f.primary.set(func(s *server) { s.at = 12 })
		f.two.set(func(s *server) { s.at = 11 })
		for range 8 {
			cents, err := f.ask(t.Context(), query.After(tokenAt(11)))
			require.NoError(t, err)
			assert.GreaterOrEqual(t, cents, int64(11))
		}
		asked := f.asked()
		assert.LessOrEqual(t, asked[0], 1, "until it is known who has it")
		assert.GreaterOrEqual(t, asked[2], 7)
		cents, err := f.ask(t.Context(), query.After(tokenAt(12)))
		require.NoError(t, err)
		assert.EqualValues(t, 12, cents)
		assert.Equal(t, 1, f.asked()[0])
		status := f.Status()
		assert.EqualValues(t, 9, status.Primary.Answered+status.Replicas[1].Answered)
		assert.Zero(t, status.Replicas[0].Answered, "it has neither")
	})
}

func TestAnAnswerWaitsForWhicheverServerComesFirst(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		time.AfterFunc(time.Second, func() { f.primary.set(func(s *server) { s.at = 20 }) })
		began := time.Now()
		cents, err := f.ask(t.Context(), query.After(tokenAt(20)))
		require.NoError(t, err)
		assert.EqualValues(t, 20, cents)
		assert.InDelta(t, 1, time.Since(began).Seconds(), 0.03)

		_, err = f.ask(t.Context(), query.After(tokenAt(21)), query.Wait(100*time.Millisecond))
		var late *query.NotCaughtUpError
		require.ErrorAs(t, err, &late)
		assert.EqualValues(t, 20, late.At)
	})
}

// A replica was restored from an old copy, or its address leads elsewhere now.
func TestAReplicaIsNotBelievedToBeWhereItWas(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		for range 2 {
			_, err := f.ask(t.Context(), query.After(tokenAt(10)))
			require.NoError(t, err)
		}
		for _, s := range []*server{f.one, f.two} {
			s.set(func(s *server) { s.at = 3 })
		}
		cents, err := f.ask(t.Context(), query.After(tokenAt(10)))
		require.NoError(t, err)
		assert.EqualValues(t, 10, cents)
	})
}

// The rows of one segment may be newer than the checkpoint of the read model, and another replica may
// have come as far as that without them.
func TestTheNextAnswerIsNotOlderThoughOneSegmentWasFurther(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		f.primary.set(func(s *server) { s.at = 12 })
		f.one.set(func(s *server) { s.ahead = 2 })
		f.two.down(errGone)
		var told query.Freshness
		cents, err := f.ask(t.Context(), query.Tell(&told))
		require.NoError(t, err)
		assert.EqualValues(t, 12, cents)
		assert.Equal(t, []eventstore.Token{tokenAt(10)}, told.Includes)
		assert.Equal(t, []eventstore.Token{tokenAt(12)}, told.After)

		f.one.down(errGone)
		f.two.set(func(s *server) { s.err, s.at = nil, 11 })
		time.Sleep(2 * time.Second)
		cents, err = f.ask(t.Context())
		require.NoError(t, err)
		assert.EqualValues(t, 11, cents, "nothing is required")
		cents, err = f.ask(t.Context(), query.After(told.After...))
		require.NoError(t, err)
		assert.EqualValues(t, 12, cents)
	})
}

// The generation follows a second store since, and a replica does not know of that yet. What is required
// of that store is met by another reader of the query, so nobody else would notice.
func TestAStoreThatAReplicaDoesNotFollowYetIsAskedOfThePrimary(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		second := eventstore.Token{Identity: eventstore.Identity{Store: eventstore.StoreID{2}, Incarnation: 1}, Position: 5}
		reader := projection.NewReader(f.Replicas, accounts)
		query.Handle(f.queries, "both", func(ctx context.Context, _ string) (int64, error) {
			query.Include(ctx, "other", second)
			row, err := reader.Get(ctx, "a")
			return row.Cents, err
		})
		ask := func(options ...query.AskOption) error {
			_, err := query.Ask[int64](t.Context(), f.queries, "?", append(options, query.After(second))...)
			return err
		}
		for range 10 {
			require.NoError(t, ask())
		}
		assert.Equal(t, 1, f.asked()[0], "the primary does not follow it, and need not be asked each time")
		time.Sleep(2 * time.Second)
		f.primary.set(func(s *server) { s.also = &second.Identity }) // and has applied nothing of it
		var late *query.NotCaughtUpError
		require.ErrorAs(t, ask(query.Wait(0)), &late)
		assert.Equal(t, second.Store, late.Want.Store)
	})
}

var errLost = errors.New("keys are missing")

var errGone = errors.New("connection refused")

func TestAReplicaThatFailsIsPutAsideUntilItIsInOrder(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		f.one.down(errGone)
		for range 10 {
			_, err := f.ask(t.Context())
			require.NoError(t, err)
		}
		assert.Equal(t, [3]int{0, 1, 10}, f.asked(), "one question found out")
		status := f.Status()
		require.ErrorIs(t, status.Replicas[0].Err, errGone)
		require.NoError(t, status.Replicas[1].Err)
		assert.EqualValues(t, 1, status.Replicas[0].Failed)
		f.one.down(nil)
		time.Sleep(2 * time.Second)
		require.NoError(t, f.Status().Replicas[0].Err)
		for range 10 {
			_, err := f.ask(t.Context())
			require.NoError(t, err)
		}
		assert.Equal(t, [3]int{0, 5, 5}, f.asked())
	})
}

// Its probes are answered, and its looks are not: something holds a lock there.
func TestAReplicaThatGoesOnFailingIsTriedLessAndLess(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		tried := 0
		for range 100 {
			f.one.down(errGone)
			_, err := f.ask(t.Context())
			require.NoError(t, err)
			f.one.down(nil)
			tried += f.asked()[1]
			time.Sleep(time.Second)
		}
		assert.Less(t, tried, 10)
		assert.Greater(t, tried, 4)
	})
}

// What a model lacks there, such as rows that a server has lost, is no reason to leave the others alone.
func TestAReadModelThatFailsOnAReplicaIsLeftAloneAndTheOthersAreNot(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		other := projection.NewReader(f.Replicas, accountsAt(7))
		f.one.set(func(s *server) { s.lost = accounts.Generation() })
		f.two.down(errGone)
		time.Sleep(time.Second + 1)
		for range 10 {
			_, err := f.ask(t.Context())
			require.NoError(t, err)
		}
		assert.Equal(t, [3]int{10, 1, 0}, f.asked())
		synctest.Wait() // for the probe
		for range 10 {
			_, err := other.Get(t.Context(), "a")
			require.NoError(t, err)
		}
		assert.Equal(t, [3]int{0, 10, 0}, f.asked())
		require.NoError(t, f.Status().Replicas[0].Err)
	})
}

// Nobody has looked at the second one, while the first is known to have what is asked for.
func TestAReplicaThatNobodyHasLookedAtIsNotForgotten(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		f.two.down(errGone)
		time.Sleep(time.Second + 1)
		for range 10 {
			_, err := f.ask(t.Context(), query.After(tokenAt(10)))
			require.NoError(t, err)
		}
		f.two.set(func(s *server) { s.err, s.at = nil, 9 })
		time.Sleep(2 * time.Second)
		f.asked()
		_, _ = f.ask(t.Context(), query.After(tokenAt(10)))
		_, _ = f.ask(t.Context(), query.After(tokenAt(10)))
		f.two.set(func(s *server) { s.at = 10 })
		time.Sleep(2 * time.Second)
		f.asked()
		for range 10 {
			_, err := f.ask(t.Context(), query.After(tokenAt(10)))
			require.NoError(t, err)
		}
		assert.Equal(t, [3]int{0, 5, 5}, f.asked())
	})
}

func TestAReplicaThatHangsCostsAQuestionNoMoreThanItsTimeout(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		for _, s := range []*server{f.one, f.two} {
			s.set(func(s *server) { s.hangs = true })
		}
		began := time.Now()
		cents, err := f.ask(t.Context(), query.After(tokenAt(10)))
		require.NoError(t, err)
		assert.EqualValues(t, 10, cents)
		assert.LessOrEqual(t, time.Since(began), 2*time.Second)
		began = time.Now()
		_, err = f.ask(t.Context())
		require.NoError(t, err)
		assert.Zero(t, time.Since(began), "they are aside")
		require.ErrorContains(t, f.Status().Replicas[0].Err, "it has not answered within 1s")
	})
}

func TestReadersGoOnWithoutThePrimary(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		f.primary.down(errGone)
		f.two.set(func(s *server) { s.at = 12; s.lag = time.Hour })
		time.Sleep(time.Second + 1)
		for range 5 {
			cents, err := f.ask(t.Context(), query.After(tokenAt(12)))
			require.NoError(t, err)
			assert.EqualValues(t, 12, cents, "the other one has it")
		}
		f.one.down(errGone)
		cents, err := f.ask(t.Context())
		require.NoError(t, err, "old rows are better than none")
		assert.EqualValues(t, 12, cents)

		var told query.Freshness
		cents, err = f.ask(t.Context(), query.After(tokenAt(13)), query.Wait(50*time.Millisecond), query.OrStale(&told))
		require.NoError(t, err)
		assert.EqualValues(t, 12, cents)
		assert.Equal(t, []eventstore.Token{tokenAt(13)}, told.Missing)

		f.two.down(errGone)
		_, err = f.ask(t.Context())
		require.ErrorIs(t, err, errGone)
		f.primary.down(nil)
		_, err = f.ask(t.Context())
		require.NoError(t, err, "the primary is tried when nobody else answers")
	})
}

func TestAReplicaWhereTheGenerationIsNotLiveYetIsNotRead(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		f.one.set(func(s *server) { s.stage = projection.Building })
		f.two.set(func(s *server) { s.stage = "" })
		_, err := f.ask(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, f.asked()[0])
	})
}

func TestACallerWhoLeavesIsNoFailureOfAReplica(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		f.one.set(func(s *server) { s.hangs = true })
		f.two.set(func(s *server) { s.hangs = true })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		_, err := f.ask(ctx)
		require.ErrorIs(t, err, context.Canceled)
		for _, s := range f.Status().Replicas {
			require.NoError(t, s.Err)
		}
	})
}

// The projection stands still, so all questions run out of time, and the last looks of each have
// hardly any left.
func TestAQuestionThatIsShortOfTimeIsNoFailureOfAReplica(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		f.one.set(func(s *server) { s.takes = 20 * time.Millisecond })
		f.two.set(func(s *server) { s.takes = 20 * time.Millisecond })
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			_, err := f.ask(ctx)
			cancel()
			require.NoError(t, err, "the primary is asked in time")
			_, err = f.ask(t.Context(), query.After(tokenAt(11)), query.Wait(50*time.Millisecond))
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		for _, s := range f.Status().Replicas {
			require.NoError(t, s.Err)
		}
		f.asked()
		_, err := f.ask(t.Context())
		require.NoError(t, err)
		assert.Zero(t, f.asked()[0], "no read model is left alone either")
	})
}

// A key was mended on the primary, which moves no checkpoint, and the replicas do not have that yet.
func TestAKeyThatIsParkedOnAReplicaIsReadFromThePrimary(t *testing.T) {
	t.Parallel()
	inFleet(t, func(t *testing.T, f *fleet) {
		for _, s := range []*server{f.one, f.two} {
			s.set(func(s *server) {
				s.parked = []projection.Parked{{Key: "a", Event: eventstore.Anchor{Position: 5}}, {Key: "b", Event: eventstore.Anchor{Position: 4}}}
			})
		}
		_, err := f.ask(t.Context(), query.After(tokenAt(10)))
		require.NoError(t, err)
		assert.Equal(t, 1, f.asked()[0])
		_, err = f.ask(t.Context(), query.After(tokenAt(4)))
		require.NoError(t, err)
		assert.Zero(t, f.asked()[0], "it was not parked by then, and nobody asks for the other one")
		f.primary.down(errGone)
		_, err = f.ask(t.Context(), query.After(tokenAt(10)))
		var parked *projection.ParkedError
		require.ErrorAs(t, err, &parked)
	})
}
