package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// deposit puts 5 cents on ada's account and returns the token.
func (s service) deposit(t testing.TB) string {
	t.Helper()
	return receiptOf(t, post(s, "account.deposit", `{"account":"ada","cents":5}`)).Position
}

func TestAnAnswerIsNoOlderThanMaxAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, checkMaxAge(t, asItIs))
	})
}

// The twin loses the header on the way to the bus.
func TestPlantedBugMaxAgeThatIsDroppedIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		caught(t, checkMaxAge(t, without("Cache-Control")))
	})
}

// checkMaxAge asks for answers of all ages while the log moves and the read model does not.
func checkMaxAge(t *testing.T, wrap func(http.Handler) http.Handler) error {
	s := newService(httpapi.Options{}, nil)
	s.deposit(t)
	s.catchUp(t)
	h := wrap(s)
	w := get(h, "get_balance?id=ada", "Cache-Control: max-age=0")
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	began := time.Now()
	time.Sleep(1500 * time.Millisecond)
	s.deposit(t)
	for _, age := range []int{4, 2, 1, 0} {
		w := get(h, "get_balance?id=ada", fmt.Sprintf("Cache-Control: private, max-age=%d", age), "Prefer: wait=0")
		fresh := time.Since(began) <= time.Duration(age)*time.Second
		switch {
		case !fresh && w.Code == http.StatusOK:
			return fmt.Errorf("an answer of %v ago to max-age=%d", time.Since(began), age)
		case fresh:
			require.Equal(t, http.StatusOK, w.Code, w.Body)
		default:
			told(t, w, http.StatusServiceUnavailable, httpapi.TypeNotCaughtUp)
		}
	}
	time.AfterFunc(time.Second, func() { s.catchUp(t) })
	w = get(h, "get_balance?id=ada", "Cache-Control: max-age=0")
	assert.JSONEq(t, `{"ID":"ada","Cents":10}`, w.Body.String(), "it waits")
	return nil
}

func TestTheAgeIsToldInSecondsRoundedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(httpapi.Options{}, nil)
		s.deposit(t)
		s.catchUp(t)
		assert.Empty(t, get(s, "get_balance?id=ada").Header().Values("Age"), "nobody has looked at the log")
		for after, age := range map[time.Duration]string{0: "0", 1: "1", time.Second: "1", 1500 * time.Millisecond: "2"} {
			assert.Equal(t, "0", get(s, "get_balance?id=ada", "Cache-Control: max-age=0").Header().Get("Age"))
			time.Sleep(after)
			assert.Equal(t, age, get(s, "get_balance?id=ada").Header().Get("Age"))
		}
	})
}

func TestAStaleAnswerIsForWhoTakesItAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(httpapi.Options{}, nil)
		before := s.deposit(t)
		s.catchUp(t)
		require.Equal(t, http.StatusOK, get(s, "get_balance?id=ada", "Cache-Control: max-age=0").Code)
		time.Sleep(10 * time.Second)
		written := s.deposit(t)
		for control, answers := range map[string]bool{
			"max-stale":                          true,
			"Max-Stale , max-age=0":              true,
			"max-stale=\"10\"":                   true,
			"max-stale=9":                        false,
			"max-stale=99999999999999999999":     true,
			"max-age=4, max-stale=6":             true,
			"max-age=4, max-stale=5":             false,
			"max-stale, max-stale=0":             false, // the stricter counts
			"max-age=0, max-age=60, max-stale=9": false,
			"min-fresh=5, max-age=60":            false, // nobody said stale
			"":                                   false,
		} {
			w := get(s, "get_balance?id=ada", "Cache-Control: "+control, "Leftfold-After: "+written, "Prefer: wait=0")
			if !answers {
				told(t, w, http.StatusServiceUnavailable, httpapi.TypeNotCaughtUp)
				assert.Equal(t, "1", w.Header().Get("Retry-After"))
				continue
			}
			assert.Equal(t, http.StatusOK, w.Code, control)
			assert.JSONEq(t, `{"ID":"ada","Cents":5}`, w.Body.String())
			assert.Contains(t, w.Header().Get("Leftfold-Missing"), written, control)
			assert.Equal(t, before, w.Header().Get("Leftfold-Position"))
			assert.Equal(t, "10", w.Header().Get("Age"))
		}
		s.catchUp(t)
		w := get(s, "get_balance?id=ada", "Cache-Control: max-stale", "Leftfold-After: "+written)
		assert.JSONEq(t, `{"ID":"ada","Cents":10}`, w.Body.String())
		assert.Empty(t, w.Header().Values("Leftfold-Missing"), "it is not stale")
	})
}

func TestACacheControlThatIsMalformedIsAProblem(t *testing.T) {
	s := newService(httpapi.Options{}, nil)
	for _, control := range []string{"max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=soon", "max-stale=", "no-cache, max-stale=x"} {
		problem := told(t, get(s, "get_balance?id=ada", "Cache-Control: "+control), http.StatusBadRequest, httpapi.TypeMalformed)
		assert.Equal(t, "Cache-Control", problem.Errors[0].Header, control)
	}
}

// Browsers send max-age=0 whenever a page is loaded again: that must not fail where nobody knows.
func TestAnAgeThatNobodyKnowsIsNotTold(t *testing.T) {
	store, sink := memory.NewStore(), memory.NewSink()
	s := service{Store: store, sink: sink, Handler: http.NewServeMux()}
	s.Handler = httpapi.Commands(commandsOver(store, nil), httpapi.Options{Logger: quiet})
	s.deposit(t)
	s.catchUp(t)
	unknown := queriesOver(sink, nil)
	another := queriesOver(sink, nil)
	another.Follow(query.NewHead(memory.NewStore()))
	for name, bus := range map[string]*query.Bus{"no log": unknown, "another log": another} {
		h := httpapi.Queries(bus, httpapi.Options{Logger: quiet})
		w := get(h, "get_balance?id=ada", "Cache-Control: max-age=0")
		assert.Equal(t, http.StatusOK, w.Code, name)
		assert.JSONEq(t, `{"ID":"ada","Cents":5}`, w.Body.String())
		assert.Empty(t, w.Header().Values("Age"), name)
		assert.NotEmpty(t, w.Header().Get("Leftfold-Position"))

		w = get(h, "echo", "Cache-Control: max-age=0")
		assert.Equal(t, http.StatusOK, w.Code, "it is read from nowhere")
		assert.Empty(t, w.Header().Values("Leftfold-Position"))

		w = get(h, "get_balance?id=ada", "Cache-Control: max-stale=60", "Leftfold-After: "+s.behind(t), "Prefer: wait=0")
		told(t, w, http.StatusServiceUnavailable, httpapi.TypeNotCaughtUp) // stale by nobody knows how much
	}
}

// behind returns the token that comes after what there is.
func (s service) behind(t testing.TB) string {
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	head.Position++
	return head.String()
}

func TestAHeadThatCannotBeReadIsAProblemForWhoAsksForAnAge(t *testing.T) {
	bus := queriesOver(memory.NewSink(), nil)
	bus.Follow(query.NewHead(headless{}))
	h := httpapi.Queries(bus, httpapi.Options{Logger: quiet})
	told(t, get(h, "echo", "Cache-Control: max-age=5"), http.StatusInternalServerError, httpapi.TypeInternal)
	assert.Equal(t, http.StatusOK, get(h, "echo").Code)
}

type headless struct{}

func (headless) Head(context.Context) (eventstore.Token, error) {
	return eventstore.Token{}, errors.New("no connection")
}

func TestAClientThatSendsBackWhatItGotSeesNothingOlder(t *testing.T) {
	require.NoError(t, checkPositions(t, asItIs))
}

// The twin loses the position of answers, so that the client has those of its commands alone.
func TestPlantedBugAnswersWithoutAPositionAreFound(t *testing.T) {
	caught(t, checkPositions(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			recorder := httptest.NewRecorder()
			next.ServeHTTP(recorder, r)
			w.WriteHeader(recorder.Code)
			_, _ = w.Write(recorder.Body.Bytes())
		})
	}))
}

// checkPositions reads from two servers in turn, of which one is behind.
func checkPositions(t *testing.T, wrap func(http.Handler) http.Handler) error {
	s := newService(httpapi.Options{}, nil)
	mine := s.deposit(t)
	s.catchUp(t)
	behind := memory.NewSink()
	runner := projection.Runner{Log: s.Store, Events: Accounts.Events(), Tasks: []projection.Task{projection.Into(behind, Balances)}}
	require.NoError(t, runner.CatchUp(t.Context()))
	old := wrap(httpapi.Queries(queriesOver(behind, nil), httpapi.Options{Logger: quiet}))
	s.deposit(t) // somebody else
	s.catchUp(t)

	w := get(wrap(s), "get_balance?id=ada", "Leftfold-After: "+mine)
	require.JSONEq(t, `{"ID":"ada","Cents":10}`, w.Body.String())
	last := mine
	if position := w.Header().Get("Leftfold-Position"); position != "" {
		last = position
	}
	w = get(old, "get_balance?id=ada", "Leftfold-After: "+last, "Prefer: wait=0")
	if w.Code == http.StatusOK {
		return fmt.Errorf("went back in time: %s", w.Body)
	}
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NoError(t, runner.CatchUp(t.Context()))
	w = get(old, "get_balance?id=ada", "Leftfold-After: "+last, "Prefer: wait=0")
	require.JSONEq(t, `{"ID":"ada","Cents":10}`, w.Body.String())
	return nil
}
