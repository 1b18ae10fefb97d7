package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/discovery"
	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/saga"
)

// What a saga does without, and what it tries again until people look at it.
func TestOnlyWhatAServiceHasDecidedIsARefusal(t *testing.T) {
	t.Parallel()
	const own = "https://bank.example/blocked"
	for name, c := range map[string]struct {
		err     error
		refused bool
	}{
		"refused by a decision":        {&aggregate.RefusedError{Err: errInsufficient}, true},
		"invalid":                      {fmt.Errorf("%w: cents", command.ErrInvalidCommand), true},
		"invalid for every store":      {&eventstore.InvalidError{What: "stream"}, true},
		"about what is deleted":        {eventstore.ErrStreamDeleted, true},
		"refused by a type of ours":    {&httpapi.Problem{Status: 422, Type: own}, true},
		"refused without a type":       {&httpapi.Problem{Status: 422}, true},
		"a type of ours, not refused":  {&httpapi.Problem{Status: 409, Type: own}, false},
		"a known type, another status": {&httpapi.Problem{Status: 503, Type: httpapi.TypeRefused}, false},
		"malformed":                    {&httpapi.Problem{Status: 400, Type: httpapi.TypeMalformed}, false},
		"without its key":              {&httpapi.Problem{Status: 400, Type: httpapi.TypeKeyRequired}, false},
		"unauthenticated":              {&httpapi.Problem{Status: 401, Type: httpapi.TypeUnauthenticated}, false},
		"forbidden":                    {&command.ForbiddenError{Err: errors.New("no")}, false},
		"unknown":                      {&httpapi.Problem{Status: 404, Type: httpapi.TypeUnknownName}, false},
		"not found":                    {&httpapi.Problem{Status: 404, Type: httpapi.TypeNotFound}, false},
		"sent in another way":          {&httpapi.Problem{Status: 405, Type: httpapi.TypeMethodNotAllowed}, false},
		"in conflict":                  {eventstore.ErrVersionConflict, false},
		"of another life of the log":   {&httpapi.Problem{Status: 409, Type: httpapi.TypeDiverged}, false},
		"at another version":           {&httpapi.Problem{Status: 412, Type: httpapi.TypePreconditionFailed}, false},
		"too large":                    {&httpapi.Problem{Status: 413, Type: httpapi.TypeTooLarge}, false},
		"in another format":            {&httpapi.Problem{Status: 415, Type: httpapi.TypeMediaType}, false},
		"under a key of another one":   {eventstore.ErrIdempotencyMismatch, false},
		"one of too many":              {&httpapi.Problem{Status: 429}, false},
		"failed":                       {errSecret, false},
		"sent to a busy service":       {eventstore.ErrStoreBusy, false},
		"of unknown outcome":           {eventstore.ErrOutcomeUnknown, false},
		"too slow":                     {context.DeadlineExceeded, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := wired(newService(httpapi.Options{}, map[string]error{name: c.err}))
			err := httpapi.ToService(client).Dispatch(t.Context(), saga.Command{ID: "id", Name: "fail", Payload: fmt.Appendf(nil, `{"How":%q}`, name)})
			require.Error(t, err)
			assert.Equal(t, c.refused, errors.Is(err, saga.ErrRefused), "%v", err)
		})
	}
}

// The service asks for a pause, and a saga heeds it.
func TestAServiceThatAsksForAPauseGetsIt(t *testing.T) {
	t.Parallel()
	client := wired(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1200")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	r := moves.Rehearse("m1", time.Now())
	require.NoError(t, r.Event(t.Context(), "wish-m1", MoveWanted{"m1"}))
	sent := r.Commands()[0]
	require.NoError(t, r.Handled(sent.ID, httpapi.ToService(client).Dispatch(t.Context(), sent)))
	assert.WithinDuration(t, time.Now().Add(20*time.Minute), r.Timers()[0].Due, time.Minute)
}

// What stands between us and a service decides nothing, and neither does what we cannot send.
func TestWhatTheServiceHasNotSaidIsNoRefusal(t *testing.T) {
	t.Parallel()
	answers := func(status int, media string) *httpapi.Client {
		return wired(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			w.WriteHeader(status)
		}))
	}
	s := newService(httpapi.Options{}, nil)
	keyless := wired(s)
	keyless.Prepare = func(*http.Request) error { return errors.New("no credentials") }
	for name, c := range map[string]struct {
		client *httpapi.Client
		cmd    saga.Command
	}{
		"a gateway says 422":      {answers(422, "text/html"), saga.Command{ID: "id", Name: "fail"}},
		"no such handler":         {wired(s), saga.Command{ID: "id", Name: "account.widthdraw"}},
		"no such field":           {wired(s), saga.Command{ID: "id", Name: "fail", Payload: []byte(`{"Who":"x"}`)}},
		"no credentials":          {keyless, saga.Command{ID: "id", Name: "fail"}},
		"no id":                   {wired(s), saga.Command{Name: "fail"}},
		"no answer":               {&httpapi.Client{URL: "http://x", HTTP: &http.Client{Transport: failing{}}}, saga.Command{ID: "id", Name: "fail"}},
		"a redirect":              {answers(307, ""), saga.Command{ID: "id", Name: "fail"}},
		"an answer of no receipt": {answers(200, "text/html"), saga.Command{ID: "id", Name: "fail"}},
	} {
		err := httpapi.ToService(c.client).Dispatch(t.Context(), c.cmd)
		require.Error(t, err, name)
		assert.NotErrorIs(t, err, saga.ErrRefused, name)
	}
}

// A transfer between two services: from the first's ada to the second's bob.
type (
	MoveWanted struct{ ID string }
	moving     struct{ ID string }
)

var (
	wishes = aggregate.Define("wish", func(MoveWanted, *moving) {}, codec.Event[MoveWanted]("wish.made"))
	moves  = saga.Define("move", saga.Definition[moving]{
		Events: []*codec.Set{wishes.Events()},
		On:     []saga.Rule[moving]{saga.Begin[moving](func(e MoveWanted, _ eventstore.Recorded) string { return e.ID }, nil)},
		Steps: []saga.Step[moving]{
			{
				Name: "withdraw",
				Do:   saga.Send("account.withdraw", func(moving) Withdraw { return Withdraw{"ada", 100} }),
				Undo: saga.Send("first.deposit", func(moving) Deposit { return Deposit{Account: "ada", Cents: 100, Lines: []Line{}} }),
			},
			{
				Name: "deposit",
				Do: saga.Send("account.deposit", func(moving) Deposit {
					return Deposit{Account: "bob", Cents: 100, Lines: []Line{}}
				}),
			},
		},
		Retry: saga.Retry{First: time.Millisecond, Most: 5 * time.Millisecond, Attempts: 50},
	})
)

// losing carries out each command and cuts the connection in the place of the first two answers.
func losing(next http.Handler) http.Handler {
	var mu sync.Mutex
	heard := map[string]int{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		heard[r.URL.Path]++
		lose := heard[r.URL.Path] <= 2
		mu.Unlock()
		if lose {
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}

// found serves two services on sockets of this machine, and returns their stores, and clients that
// find them by their names.
func found(t *testing.T, tries int) (stores [2]*memory.Store, clients [2]*httpapi.Client) {
	addresses, names := map[string][]string{}, [2]string{"first", "second"}
	for n, name := range names {
		s := newService(httpapi.Options{}, nil)
		stores[n] = s.Store
		addresses[name] = []string{listen(t, losing(s)).URL}
	}
	resolver, err := discovery.NewStatic(addresses)
	require.NoError(t, err)
	transport := discovery.NewTransport(resolver, discovery.TransportOptions{Tries: tries, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(transport.CloseIdleConnections)
	for n, name := range names {
		clients[n] = &httpapi.Client{URL: "http://" + name, HTTP: discovery.NewClient(transport)}
	}
	return stores, clients
}

// checkLostAnswers moves all that ada has to bob, while answers are lost. A withdrawal that is carried
// out and then decided anew would be refused, a deposit would be there twice.
func checkLostAnswers(t *testing.T, tries int, to func(*httpapi.Client) saga.Dispatcher) error {
	stores, clients := found(t, tries)
	_, err := aggregate.NewRepository(stores[0], Accounts).Execute(t.Context(), "ada", move(100))
	require.NoError(t, err)
	store, sink := memory.NewStore(), memory.NewSink()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	worker := saga.Worker{
		Store: store, Sink: sink, Sagas: []saga.Saga{moves},
		Dispatcher: saga.Routes{"account.withdraw": to(clients[0]), "account.deposit": to(clients[1]), "first": saga.DispatcherFunc(func(ctx context.Context, c saga.Command) error {
			c.Name = "account.deposit"
			return to(clients[0]).Dispatch(ctx, c)
		})},
	}
	go func() { ended <- worker.Run(ctx) }()
	defer func() { stop(); require.NoError(t, <-ended) }()
	_, err = aggregate.NewRepository(store, wishes).Execute(ctx, "1", func(moving) ([]MoveWanted, error) { return []MoveWanted{{"1"}}, nil })
	require.NoError(t, err)

	var row saga.Instance
	rows := projection.NewReader(sink, moves.Instances())
	require.Eventually(t, func() bool {
		row, err = rows.Get(ctx, "1")
		return err == nil && (row.Phase.Ended() || row.Phase == saga.Stuck)
	}, 30*time.Second, time.Millisecond)
	holds := func(n int, id string) int64 {
		balance, _, err := aggregate.NewRepository(stores[n], Accounts).Load(ctx, id)
		require.NoError(t, err)
		return balance
	}
	if row.Phase != saga.Completed || holds(0, "ada") != 0 || holds(1, "bob") != 100 {
		return fmt.Errorf("%s (%s); ada has %d, bob has %d: want completed, 0, 100", row.Phase, row.Reason, holds(0, "ada"), holds(1, "bob"))
	}
	return nil
}

func TestAnAnswerThatIsLostDoesNothingTwice(t *testing.T) {
	t.Parallel()
	for _, tries := range []int{1, 3} { // it is the saga that tries again, or the transport
		require.NoError(t, checkLostAnswers(t, tries, httpapi.ToService))
	}
}

// The twins: one makes a new key for each attempt, one takes each answer that is no receipt for a refusal.
func TestPlantedBugsOfTheDispatcherAreFound(t *testing.T) {
	t.Parallel()
	caught(t, checkLostAnswers(t, 1, func(client *httpapi.Client) saga.Dispatcher {
		return saga.DispatcherFunc(func(ctx context.Context, c saga.Command) error {
			c.ID = eventstore.NewEventID().String()
			return httpapi.ToService(client).Dispatch(ctx, c)
		})
	}))
	caught(t, checkLostAnswers(t, 1, func(client *httpapi.Client) saga.Dispatcher {
		return saga.DispatcherFunc(func(ctx context.Context, c saga.Command) error {
			if err := httpapi.ToService(client).Dispatch(ctx, c); err != nil {
				return saga.Refused(err)
			}
			return nil
		})
	}))
}

// A saga sends what was recorded, also when a deploy has given the command another field meanwhile.
func TestARepeatIsTheSameCommandWhenADeployHasChangedItsType(t *testing.T) {
	t.Parallel()
	type before struct{ Account string }
	type after struct{ Account, Currency string }
	store := memory.NewStore()
	repository := aggregate.NewRepository(store, Accounts)
	old, deployed := command.NewBus(), command.NewBus()
	command.Handle(old, "give", func(ctx context.Context, c before) (eventstore.Receipt, error) {
		return repository.Execute(ctx, c.Account, move(5))
	})
	command.Handle(deployed, "give", func(ctx context.Context, c after) (eventstore.Receipt, error) {
		return repository.Execute(ctx, c.Account, move(5))
	})
	for _, bus := range []*command.Bus{old, deployed} {
		receiptOf(t, post(httpapi.Commands(bus, httpapi.Options{}), "give", `{"Account":"ada"}`, `Idempotency-Key: "1"`))
	}
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	assert.EqualValues(t, 1, head.Position, "once")
}
