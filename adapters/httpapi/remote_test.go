package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/query"
)

// Wealth is what somebody has in two services, each with a log of its own.
type (
	GetWealth struct {
		ID string `json:"id"`
	}
	Wealth struct {
		Cents   [2]int64        `json:"cents"`
		Missing []query.Missing `json:"missing,omitempty"`
	}
)

// asking is how a balance is asked for in another service: with AskRemote, or a mutant of it.
type asking func(ctx context.Context, client *httpapi.Client, id string) (Balance, error)

func askBalance(ctx context.Context, client *httpapi.Client, id string) (Balance, error) {
	return httpapi.AskRemote[Balance](ctx, client, "get_balance", GetBalance{id})
}

// composed answers GetWealth from two services.
func composed(ask asking, clients [2]*httpapi.Client, with ...query.PartOption) *query.Bus {
	bus := query.NewBus()
	query.Handle(bus, "get_wealth", func(ctx context.Context, q GetWealth) (w Wealth, err error) {
		var parts [2]*query.PartOf[Balance]
		for n, name := range []string{"first", "second"} {
			parts[n] = query.Part(name, func(ctx context.Context) (Balance, error) { return ask(ctx, clients[n], q.ID) }, with...)
		}
		w.Missing, err = query.Compose(ctx, parts[0], parts[1])
		for n, p := range parts {
			balance, _ := p.Value()
			w.Cents[n] = balance.Cents
		}
		return w, err
	})
	return bus
}

// checkTheHop writes in two services and asks a third one, which asks both, after what was written:
// the answer must include it or there must be none.
func checkTheHop(t *testing.T, ask asking, serve func(http.Handler) http.Handler) error {
	var services [2]service
	var clients [2]*httpapi.Client
	for n := range services {
		services[n] = newService(httpapi.Options{}, nil)
		clients[n] = wired(serve(services[n]))
	}
	var tokens [2]eventstore.Token
	deposit := func(key string) {
		for n, client := range clients {
			receipt, err := client.Dispatch(t.Context(), "account.deposit", Deposit{Account: "ada", Cents: 5, Lines: []Line{}}, key)
			require.NoError(t, err)
			tokens[n] = receipt.Token
		}
	}
	bus := composed(ask, clients)
	wealth := func(options ...query.AskOption) (Wealth, query.Freshness, error) {
		var told query.Freshness
		got, err := query.Ask[Wealth](t.Context(), bus, GetWealth{"ada"}, append(options, query.Wait(0), query.Tell(&told))...)
		return got, told, err
	}
	deposit("one")
	services[0].catchUp(t)
	services[1].catchUp(t)
	deposit("two")
	services[0].catchUp(t)
	after := query.After(tokens[:]...)
	if got, _, err := wealth(after); err == nil {
		return fmt.Errorf("stale: %v, one service has not caught up", got.Cents)
	} else if _, late := errors.AsType[*query.NotCaughtUpError](err); !late {
		return fmt.Errorf("not caught up, and the error is another one: %w", err)
	}
	services[1].catchUp(t)
	got, told, err := wealth(after)
	if err != nil || got.Cents != [2]int64{10, 10} {
		return fmt.Errorf("both have caught up: %v, %w", got.Cents, err)
	}
	if len(told.Includes) != 2 || len(told.After) != 2 || told.Stale() {
		return fmt.Errorf("the answer includes both, and tells of %v", told)
	}
	elsewhere := tokens[0]
	elsewhere.Store = eventstore.NewStoreID()
	if _, _, err = wealth(after, query.After(elsewhere)); !errors.Is(err, eventstore.ErrForeignToken) {
		return fmt.Errorf("nobody follows the store of a token, and that is no error: %w", err)
	}
	return nil
}

func TestAnAnswerOfOtherServicesIncludesWhatIsRequired(t *testing.T) {
	t.Parallel()
	require.NoError(t, checkTheHop(t, askBalance, asItIs))
}

// The twins lose what is required on the way.
func TestPlantedBugsOfTheHopAreFound(t *testing.T) {
	t.Parallel()
	dropsTokens := func(ctx context.Context, client *httpapi.Client, id string) (Balance, error) {
		got, err := askBalance(context.Background(), client, id)
		query.Include(ctx, "get_balance", query.Required(ctx)...)
		return got, err
	}
	claims := func(next http.Handler) http.Handler { // what it has not looked at
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if after := r.Header.Get("Leftfold-After"); after != "" {
				w = &claiming{w, after}
				r.Header.Del("Leftfold-After")
			}
			next.ServeHTTP(w, r)
		})
	}
	isStrict := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Prefer", strings.ReplaceAll(r.Header.Get("Prefer"), "lenient", "strict"))
			next.ServeHTTP(w, r)
		})
	}
	for name, c := range map[string]struct {
		ask   asking
		serve func(http.Handler) http.Handler
		finds string
	}{
		"the client drops the tokens":                   {dropsTokens, asItIs, "stale: [10 5]"},
		"the service includes less than it says":        {askBalance, claims, "stale: [10 5]"},
		"the service knows nothing of leniency":         {askBalance, isStrict, "a store that this query does not read"},
		"the service does not tell what it includes":    {askBalance, tellsNothing, "both have caught up"},
		"tokens are lost and the service tells how far": {askBalance, without("Leftfold-After"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := checkTheHop(t, c.ask, c.serve)
			if c.finds == "" {
				require.NoError(t, err, "that is noticed by the client")
				return
			}
			require.ErrorContains(t, err, c.finds, "the mutant survived")
		})
	}
}

// claiming says that the answer includes whatever was asked for.
type claiming struct {
	http.ResponseWriter
	after string
}

func (c *claiming) WriteHeader(status int) {
	c.Header().Set("Leftfold-After", c.after)
	c.ResponseWriter.WriteHeader(status)
}

func tellsNothing(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(silent{w}, r)
	})
}

type silent struct{ http.ResponseWriter }

func (s silent) WriteHeader(status int) {
	s.Header().Del("Leftfold-After")
	s.Header().Del("Leftfold-Position")
	s.ResponseWriter.WriteHeader(status)
}

// A service may have read models that are not equally far.
func TestAnAnswerCountsForNoMoreThanItIncludes(t *testing.T) {
	t.Parallel()
	store := eventstore.Identity{Store: eventstore.NewStoreID(), Incarnation: 1}
	at := func(p eventstore.Position) eventstore.Token { return eventstore.Token{Identity: store, Position: p} }
	ask := func(header http.Header, after eventstore.Token) (query.Freshness, error) {
		client := wired(says{status: 200, media: "application/json", body: "{}", header: header})
		bus := query.NewBus()
		query.Handle(bus, "q", func(ctx context.Context, q GetBalance) (Balance, error) { return askBalance(ctx, client, q.ID) })
		var told query.Freshness
		_, err := query.Ask[Balance](t.Context(), bus, GetBalance{}, query.After(after), query.Tell(&told))
		return told, err
	}
	uneven := http.Header{"Leftfold-After": {at(5).String()}, "Leftfold-Position": {at(7).String()}}
	told, err := ask(uneven, at(5))
	require.NoError(t, err)
	assert.Equal(t, query.Freshness{Includes: []eventstore.Token{at(5)}, After: []eventstore.Token{at(7)}}, told)
	_, err = ask(uneven, at(6))
	late, ok := errors.AsType[*query.NotCaughtUpError](err)
	require.True(t, ok, err)
	assert.EqualValues(t, 6, late.Want.Position)
	_, err = ask(http.Header{"Leftfold-Position": uneven["Leftfold-Position"]}, at(5))
	require.ErrorIs(t, err, eventstore.ErrForeignToken, "that a later answer would not be older is no promise for this one")
}

// That another part is missing is no excuse for it.
func TestAServiceThatKnowsNothingOfTokensIsMissing(t *testing.T) {
	t.Parallel()
	old := wired(says{status: 200, media: "application/json", body: `{"cents":5}`})
	gone := wired(says{status: 502})
	bus := composed(askBalance, [2]*httpapi.Client{old, gone}, query.Optional())
	token := eventstore.Token{Identity: eventstore.Identity{Store: eventstore.NewStoreID(), Incarnation: 1}, Position: 7}
	got, err := query.Ask[Wealth](t.Context(), bus, GetWealth{"ada"}, query.After(token))
	require.NoError(t, err)
	assert.Zero(t, got.Cents, "it may be older than the token")
	require.Len(t, got.Missing, 2)
	require.ErrorIs(t, got.Missing[0].Err, eventstore.ErrForeignToken)
}

// A service that claims another life than that of the token would fail the outer question, of which it
// may be an optional part.
func TestAServiceThatClaimsAnotherLifeIsNotBelieved(t *testing.T) {
	t.Parallel()
	token := eventstore.Token{Identity: eventstore.Identity{Store: eventstore.NewStoreID(), Incarnation: 1}, Position: 7}
	claimed := token
	claimed.Incarnation = 9
	claims := wired(says{status: 200, media: "application/json", body: `{"cents":5}`, header: http.Header{"Leftfold-After": {claimed.String()}}})
	bus := composed(askBalance, [2]*httpapi.Client{claims, claims}, query.Optional())
	got, err := query.Ask[Wealth](t.Context(), bus, GetWealth{"ada"}, query.After(token))
	require.NoError(t, err)
	assert.Len(t, got.Missing, 2)
}

func TestAServiceWaitsAsLongAsTheOuterQuestionDoes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		options []query.AskOption
		caller  time.Duration
		prefers string
	}{
		"nothing is required": {nil, time.Hour, "wait=5, handling=lenient"},
		"as long as Wait":     {[]query.AskOption{query.Wait(3 * time.Second)}, time.Hour, "wait=3, handling=lenient"},
		"whole seconds":       {[]query.AskOption{query.Wait(2100 * time.Millisecond)}, time.Hour, "wait=3, handling=lenient"},
		"not at all":          {[]query.AskOption{query.Wait(0)}, time.Hour, "wait=0, handling=lenient"},
		"as long as there is": {nil, 1500 * time.Millisecond, "wait=2, handling=lenient"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var prefers string
			client := wired(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				prefers = r.Header.Get("Prefer")
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte("{}"))
			}))
			ctx, cancel := context.WithTimeout(t.Context(), c.caller)
			defer cancel()
			bus := query.NewBus()
			query.Handle(bus, "q", func(ctx context.Context, q GetBalance) (Balance, error) { return askBalance(ctx, client, q.ID) })
			_, err := query.Ask[Balance](ctx, bus, GetBalance{}, c.options...)
			require.NoError(t, err)
			assert.Equal(t, c.prefers, prefers, name)
		})
	}
	many := make([]eventstore.Token, httpapi.MaxTokens+1)
	for n := range many {
		many[n] = eventstore.Token{Identity: eventstore.Identity{Store: eventstore.NewStoreID()}, Position: 1}
	}
	bus := query.NewBus()
	query.Handle(bus, "q", func(ctx context.Context, q GetBalance) (Balance, error) {
		return askBalance(ctx, &httpapi.Client{URL: "http://x"}, q.ID)
	})
	_, err := query.Ask[Balance](t.Context(), bus, GetBalance{}, query.After(many...))
	require.ErrorContains(t, err, "the question requires 65 tokens, and Leftfold-After takes 64")
}

// The part is one that the client of a token waits for: the service waits, and the answer comes.
func TestAServiceWaitsForWhatIsRequired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(httpapi.Options{}, nil)
		client := wired(s)
		receipt, err := client.Dispatch(t.Context(), "account.deposit", Deposit{Account: "ada", Cents: 5, Lines: []Line{}}, "one")
		require.NoError(t, err)
		time.AfterFunc(2*time.Second, func() { s.catchUp(t) })
		bus := query.NewBus()
		query.Handle(bus, "q", func(ctx context.Context, q GetBalance) (Balance, error) { return askBalance(ctx, client, q.ID) }, query.Reads("get_balance"))
		got, err := query.Ask[Balance](t.Context(), bus, GetBalance{"ada"}, query.After(receipt.Token))
		require.NoError(t, err)
		assert.Equal(t, Balance{"ada", 5}, got)
	})
}

// Over real sockets: one service is well and the other is not.
func TestAnAnswerWithoutAServiceNamesItAndComesInTime(t *testing.T) {
	t.Parallel()
	well := newService(httpapi.Options{}, nil)
	receipt := receiptOf(t, post(well, "account.deposit", `{"account":"ada","cents":5}`))
	well.catchUp(t)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	slow := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	behind := newService(httpapi.Options{}, nil)
	ahead := receiptOf(t, post(behind, "account.deposit", `{"account":"ada","cents":5}`))
	for name, c := range map[string]struct {
		client *httpapi.Client
		reason query.Reason
	}{
		"down":             {&httpapi.Client{URL: gone.URL}, query.ReasonError},
		"slow":             {listen(t, slow), query.ReasonDeadline},
		"erring":           {listen(t, says{status: 500, media: "application/problem+json", body: `{"type":"` + httpapi.TypeInternal + `"}`}), query.ReasonError},
		"not what it was":  {listen(t, says{status: 200, media: "text/html", body: "<h1>hello"}), query.ReasonError},
		"cutting us off":   {listen(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })), query.ReasonError},
		"behind the token": {listen(t, behind), query.ReasonDeadline},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus := composed(askBalance, [2]*httpapi.Client{listen(t, well), c.client}, query.Optional())
			outer := listen(t, httpapi.Queries(bus, httpapi.Options{Timeout: time.Second, Logger: quiet}))
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, outer.URL+"/queries/get_wealth?id=ada", nil)
			require.NoError(t, err)
			r.Header.Set("Leftfold-After", receipt.Position+", "+ahead.Position)
			answer, err := outer.HTTP.Do(r)
			require.NoError(t, err)
			defer answer.Body.Close()
			require.Equal(t, http.StatusOK, answer.StatusCode, "not even a 504: it has come within the Timeout")
			var got Wealth
			require.NoError(t, json.NewDecoder(answer.Body).Decode(&got))
			assert.Equal(t, Wealth{[2]int64{5, 0}, []query.Missing{{Part: "second", Reason: c.reason}}}, got)
		})
	}
}
