package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/discovery"
)

var errReset = errors.New("connection reset")

// What may be sent again is decided by what has happened to it and what it says of itself.
func TestWhatIsSentAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		method  string
		body    io.Reader
		key     string
		first   error // of the first try, or
		status  int   // its answer
		sent    int   // tries
		answers int   // status in the end; 0: an error
	}{
		{name: "no connection, GET", method: "GET", first: errRefused, sent: 2, answers: 200},
		{name: "no connection, POST", method: "POST", body: strings.NewReader("x"), first: errRefused, sent: 2, answers: 200},
		{name: "no connection, POST of a stream", method: "POST", body: stream("x"), first: errRefused, sent: 2, answers: 200},
		{name: "reset, GET", method: "GET", first: errReset, sent: 2, answers: 200},
		{name: "reset, PUT", method: "PUT", body: strings.NewReader("x"), first: errReset, sent: 2, answers: 200},
		{name: "reset, PUT of a stream", method: "PUT", body: stream("x"), first: errReset, sent: 1},
		{name: "reset, POST", method: "POST", body: strings.NewReader("x"), first: errReset, sent: 1},
		{name: "reset, POST without a body", method: "POST", first: errReset, sent: 1},
		{name: "reset, POST with a key", method: "POST", body: strings.NewReader("x"), key: "k", first: errReset, sent: 2, answers: 200},
		{name: "reset, POST of a stream with a key", method: "POST", body: stream("x"), key: "k", first: errReset, sent: 1},
		{name: "reset, PATCH", method: "PATCH", body: strings.NewReader("x"), first: errReset, sent: 1},
		{name: "503, GET", method: "GET", status: 503, sent: 2, answers: 200},
		{name: "503 with Retry-After, GET", method: "GET", status: busyStatus, sent: 2, answers: 200},
		{name: "503, POST", method: "POST", body: strings.NewReader("x"), status: 503, sent: 1, answers: 503},
		{name: "502, DELETE", method: "DELETE", status: 502, sent: 2, answers: 200},
		{name: "504, GET", method: "GET", status: 504, sent: 2, answers: 200},
		{name: "500 is about the request", method: "GET", status: 500, sent: 1, answers: 500},
		{name: "404", method: "GET", status: 404, sent: 1, answers: 404},
		{name: "429 is about the caller", method: "GET", status: 429, sent: 1, answers: 429},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			behind := &scripted{}
			tries := 0
			var bodies []string
			behind.set(func(_ string, r *http.Request) (int, error) {
				tries++
				if tries == 1 && errors.Is(c.first, errRefused) {
					return 0, c.first
				}
				if r.Body != nil {
					text, _ := io.ReadAll(r.Body)
					bodies = append(bodies, string(text))
				}
				if tries == 1 && (c.first != nil || c.status != 0) {
					return c.status, c.first
				}
				return 200, nil
			})
			transport := newTransport(t, hosts("a", "b", "c"), discovery.TransportOptions{Around: behind.around})
			r, err := http.NewRequest(c.method, "http://orders/", c.body)
			require.NoError(t, err)
			if c.key != "" {
				r.Header.Set("Idempotency-Key", c.key)
			}
			response, _, err := read(transport.RoundTrip(r))
			took := behind.taken()
			assert.Len(t, took, c.sent)
			for _, body := range bodies {
				assert.Equal(t, c.body != nil, body == "x", "%q", body)
			}
			if len(took) == 2 {
				assert.NotEqual(t, took[0], took[1], "elsewhere")
			}
			if c.answers == 0 {
				require.ErrorIs(t, err, c.first)
				require.ErrorContains(t, err, "service orders, endpoint "+took[0])
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.answers, response.StatusCode)
		})
	}
}

// stream is a body that can be read once.
func stream(text string) io.Reader { return io.MultiReader(strings.NewReader(text)) }

func TestWhatWasSentAndMayNotBeRepeatedIsSentOnce(t *testing.T) {
	t.Parallel()
	require.NoError(t, checkSentOnce(t))
}

// The twin says of every request that it may be repeated.
func TestPlantedBugEverythingIsRepeatedIsFound(t *testing.T) {
	t.Parallel()
	caught(t, checkSentOnce(t, "Idempotency-Key", "k"))
}

// checkSentOnce sends a POST to servers that carry it out and hang up before they answer.
func checkSentOnce(t *testing.T, headers ...string) error {
	hangUp := func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}
	a, b := serve(t, hangUp), serve(t, hangUp)
	_, _, err := send(newTransport(t, resolves(a.endpoint(), b.endpoint()), discovery.TransportOptions{}), "POST", "http://orders/", "x", headers...)
	if done := a.requests.Load() + b.requests.Load(); err == nil || done != 1 {
		return fmt.Errorf("it was carried out %d times, error %v", done, err)
	}
	return nil
}

// Repeats are paid by successes: when nothing succeeds there are 100 and no more.
func TestRepeatsNeverMultiplyAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		behind := &scripted{does: func(string, *http.Request) (int, error) { return 0, errReset }}
		transport := newTransport(t, hosts("a", "b", "c", "d"), discovery.TransportOptions{Around: behind.around, Open: time.Nanosecond})
		const requests = 1000
		for range requests {
			_, _, err := get(transport, "http://orders/")
			require.Error(t, err)
			time.Sleep(time.Microsecond) // for the circuit, which is not what this is about
		}
		assert.LessOrEqual(t, len(behind.taken()), requests+100)
		assert.Zero(t, transport.Status()[0].Repeats)

		behind.set(func(string, *http.Request) (int, error) { return 200, nil })
		time.Sleep(time.Hour)
		for range 50 {
			_, _, err := get(transport, "http://orders/")
			require.NoError(t, err)
		}
		assert.Equal(t, 10, transport.Status()[0].Repeats, "a fifth of the successes")
	})
}

// A caller who leaves, or whose deadline passes, says nothing of the endpoint.
func TestACallerWhoLeavesIsNoFailureOfTheEndpoint(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		timeout time.Duration
		found   bool
	}{
		"the caller's time":             {time.Hour, false},
		"the twin: the time of the try": {time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				behind := &scripted{does: func(_ string, r *http.Request) (int, error) {
					<-r.Context().Done()
					return 0, context.Cause(r.Context())
				}}
				transport := newTransport(t, hosts("a", "b", "c"), discovery.TransportOptions{Around: behind.around, TryTimeout: c.timeout})
				for n := range 30 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					if n%2 == 0 {
						time.AfterFunc(time.Second, cancel)
					}
					r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://orders/", nil)
					require.NoError(t, err)
					_, err = transport.RoundTrip(r)
					require.Error(t, err)
					if !c.found {
						require.ErrorIs(t, err, ctx.Err())
					}
					cancel()
				}
				status, failures := transport.Status()[0], 0
				for _, e := range status.Endpoints {
					failures += e.Failures
					assert.Zero(t, e.InFlight)
				}
				assert.Equal(t, c.found, failures > 0)
				assert.Equal(t, c.found, !status.Circuit.Until.IsZero())
				assert.Equal(t, c.found, status.Repeats < 100)
			})
		})
	}
}

// What is passed on from somebody who breaks off ends with his error.
func TestABodyThatCannotBeReadIsNoFailureOfTheEndpoint(t *testing.T) {
	t.Parallel()
	transport := newTransport(t, resolves(serve(t, ok).endpoint()), discovery.TransportOptions{})
	for range 30 {
		r, err := http.NewRequest(http.MethodPost, "http://orders/", io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF)))
		require.NoError(t, err)
		_, err = transport.RoundTrip(r)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	}
	assert.Zero(t, transport.Status()[0].Circuit)
	assert.Zero(t, transport.Status()[0].Endpoints[0].Failures)
}

func TestATryThatTakesTooLongIsATimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		behind := &scripted{does: func(_ string, r *http.Request) (int, error) {
			<-r.Context().Done()
			return 0, context.Cause(r.Context())
		}}
		transport := newTransport(t, hosts("a", "b", "c"), discovery.TransportOptions{Around: behind.around, TryTimeout: time.Second})
		began := time.Now()
		_, _, err := get(transport, "http://orders/")
		require.ErrorIs(t, err, discovery.ErrTryTimeout)
		late, is := errors.AsType[interface {
			error
			Timeout() bool
		}](err)
		require.True(t, is && late.Timeout())
		require.Equal(t, 3*time.Second, time.Since(began), "three tries")
	})
}

// closer is a body that counts how often it is closed.
type closer struct {
	io.Reader

	times int
}

func (c *closer) Close() error {
	c.times++
	return nil
}

// Whoever sends a request may rely on its body being closed, also when it is never sent.
func TestBodiesThatAreNotSentAreClosed(t *testing.T) {
	t.Parallel()
	behind := &scripted{does: down("a", "b")}
	transport := newTransport(t, hosts("a", "b"), discovery.TransportOptions{Around: behind.around})
	for _, target := range []string{"http://orders/", "http://not.a.service/"} {
		body := &closer{Reader: stream("x")}
		r, err := http.NewRequest(http.MethodPost, target, body)
		require.NoError(t, err)
		_, err = transport.RoundTrip(r)
		require.Error(t, err)
		assert.Equal(t, 1, body.times, target)
	}
}
