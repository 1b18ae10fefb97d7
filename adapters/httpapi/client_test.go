package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/eventstore"
)

// listen serves the handler on a socket of this machine, and returns a client of it.
func listen(t *testing.T, h http.Handler) *httpapi.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return &httpapi.Client{URL: server.URL, HTTP: server.Client()}
}

// wire hands requests to a handler without a network, so that time can be the bubble's. Like a
// network it carries that the client has left, and nothing else of its context.
type wire struct{ http.Handler }

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer context.AfterFunc(r.Context(), cancel)()
	recorder := httptest.NewRecorder()
	in := r.Clone(ctx)
	in.RequestURI = in.URL.RequestURI()
	w.ServeHTTP(recorder, in)
	return recorder.Result(), r.Context().Err()
}

func wired(h http.Handler) *httpapi.Client {
	return &httpapi.Client{URL: "http://accounts.internal", HTTP: &http.Client{Transport: wire{h}}}
}

func TestARemoteQueryIsAnswered(t *testing.T) {
	t.Parallel()
	s := newService(httpapi.Options{}, nil)
	client := listen(t, http.StripPrefix("/v1", s))
	client.URL += "/v1/"
	receipt, err := client.Dispatch(t.Context(), "account.deposit", Deposit{Account: "ada", Cents: 5, Lines: []Line{}}, "first")
	require.NoError(t, err)
	s.catchUp(t)
	got, err := httpapi.AskRemote[Balance](t.Context(), client, "get_balance", GetBalance{"ada"})
	require.NoError(t, err)
	assert.Equal(t, Balance{"ada", 5}, got)
	assert.Equal(t, eventstore.Receipt{Token: receipt.Token, Versions: map[eventstore.StreamID]eventstore.Version{"account-ada": 1}}, receipt)
	assert.EqualValues(t, 1, receipt.Token.Position)
}

// Whatever a question says arrives as it was meant.
func TestAQuestionArrivesAsItWasAsked(t *testing.T) {
	t.Parallel()
	client := wired(newService(httpapi.Options{}, nil))
	rapid.Check(t, func(rt *rapid.T) {
		maybe := func(name string) bool { return rapid.Bool().Draw(rt, "with "+name) }
		moment := rapid.Custom(func(rt *rapid.T) time.Time {
			return time.Unix(rapid.Int64Range(-62135596800, 253402300799).Draw(rt, "s"), rapid.Int64Range(0, 999_999_999).Draw(rt, "ns")).UTC()
		})
		asked := Echo{
			ID: rapid.String().Draw(rt, "id"), Exact: maybe("exact"), Factor: rapid.Float32().Draw(rt, "factor"),
			Paging: Paging{rapid.Uint8().Draw(rt, "limit")}, Since: moment.Draw(rt, "since"),
		}
		if maybe("min") {
			asked.Min = new(rapid.Int16().Draw(rt, "min"))
		}
		if maybe("until") {
			asked.Until = new(moment.Draw(rt, "until"))
		}
		if maybe("tags") {
			asked.Tags = rapid.SliceOfN(rapid.String(), 1, 4).Draw(rt, "tag")
			asked.Sizes = rapid.SliceOfN(rapid.Uint16(), 1, 4).Draw(rt, "size")
		}
		got, err := httpapi.AskRemote[Echo](t.Context(), client, "echo", asked)
		require.NoError(rt, err)
		require.Equal(rt, asked, got)
	})
}

func TestAQuestionThatParametersCannotSayIsAnErrorHere(t *testing.T) {
	t.Parallel()
	none := &httpapi.Client{URL: "http://nowhere.invalid"}
	for says, asked := range map[string]any{
		"ask q: the question is nil":                                                    nil,
		"ask q: string is no struct":                                                    "?",
		"ask q: *httpapi_test.GetBalance is no struct":                                  &GetBalance{},
		"ask q: parameter F: not a number of JSON":                                      struct{ F float64 }{math.Inf(1)},
		"ask q: parameter P: a nil within a value cannot be said":                       struct{ P []*int }{[]*int{nil}},
		"ask q: parameter W: a httpapi_test.readsOnly reads text and does not write it": struct{ W readsOnly }{1},
		"ask q: parameter T: Time.MarshalText: year outside of range [0,9999]":          struct{ T time.Time }{time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		"ask q: field M: a parameter cannot be a map[string]int":                        struct{ M map[string]int }{},
	} {
		_, err := httpapi.AskRemote[int](t.Context(), none, "q", asked)
		require.EqualError(t, err, says)
	}
	for _, base := range []string{"", "orders", "http://a?b=c", "http://%zz", "http://a#b"} {
		_, err := httpapi.AskRemote[int](t.Context(), &httpapi.Client{URL: base}, "q", struct{}{})
		require.ErrorContains(t, err, "is no base address such as http://orders.internal/v1")
	}
}

type readsOnly int

func (r *readsOnly) UnmarshalText([]byte) error { return nil }

// says is a service that answers everything in one way.
type says struct {
	status int
	media  string
	body   string
	header http.Header
}

func (s says) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	maps.Copy(w.Header(), s.header)
	w.Header().Set("Content-Type", s.media)
	w.WriteHeader(s.status)
	_, _ = io.WriteString(w, s.body)
}

func TestNumbersOfARemoteAnswerKeepTheirDigits(t *testing.T) {
	t.Parallel()
	client := wired(says{status: 200, media: "application/json; charset=utf-8", body: `{"n":9007199254740993,"new":1}` + "\n"})
	got, err := httpapi.AskRemote[any](t.Context(), client, "q", struct{}{})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"n": json.Number("9007199254740993"), "new": json.Number("1")}, got)
	typed, err := httpapi.AskRemote[struct{ N int64 }](t.Context(), client, "q", struct{}{})
	require.NoError(t, err, "fields that are new to us are no mistake")
	assert.EqualValues(t, 9007199254740993, typed.N)
}

func TestAnAnswerThatIsNoneIsAnError(t *testing.T) {
	t.Parallel()
	for text, c := range map[string]struct {
		says      says
		retryable bool
	}{
		`the answer is "text/html" and not application/json`:          {says{status: 200, media: "text/html; charset=utf-8", body: "1"}, false},
		`the answer is "" and not application/json`:                   {says{status: 200, media: "", body: "1"}, false},
		"the answer does not fit: unexpected EOF":                     {says{status: 200, media: "application/json", body: `{"N":`}, false},
		"the answer does not fit: EOF":                                {says{status: 200, media: "application/json"}, false},
		"the answer is more than one value":                           {says{status: 200, media: "application/json", body: `1 2`}, false},
		"the answer has more than the 10 bytes of Client.AnswerBytes": {says{status: 200, media: "application/json", body: `"123456789"`}, false},
		"204 No Content":        {says{status: 204}, false},
		"502 Bad Gateway":       {says{status: 502, media: "text/html", body: "<h1>nginx"}, true},
		"429 Too Many Requests": {says{status: 429, media: "text/plain"}, true},
		"404 Not Found":         {says{status: 404, media: "application/problem+json", body: "not JSON"}, false},
		"the service answers with a redirect, which is not followed; correct Client.URL": {
			says{status: 307, header: http.Header{"Location": {"http://169.254.169.254/"}}}, false},
		`what the answer includes cannot be read`: {says{status: 200, media: "application/json", body: "1", header: http.Header{"Leftfold-After": {"x"}}}, false},
	} {
		client := wired(c.says)
		client.AnswerBytes = 10
		got, err := httpapi.AskRemote[int](t.Context(), client, "q", struct{}{})
		require.ErrorContains(t, err, "q of http://accounts.internal: "+text)
		remote, ok := errors.AsType[*httpapi.RemoteError](err)
		require.True(t, ok)
		assert.Equal(t, c.retryable, remote.Retryable, text)
		assert.Zero(t, got)

		_, err = client.Dispatch(t.Context(), "c", struct{}{}, "key")
		lost := c.says.status/100 == 2 || c.says.status == 502
		assert.Equal(t, lost, errors.Is(err, eventstore.ErrOutcomeUnknown), "%s: %v", text, err)
	}
}

func TestTheClientSaysWhoAsks(t *testing.T) {
	t.Parallel()
	client := wired(newService(httpapi.Options{Authenticate: func(r *http.Request) (string, error) { return r.Header.Get("From"), nil }}, nil))
	_, err := httpapi.AskRemote[Echo](t.Context(), client, "echo", Echo{})
	require.ErrorContains(t, err, httpapi.TypeUnauthenticated)
	client.Prepare = func(r *http.Request) error { r.Header.Set("From", "ada"); return nil }
	_, err = httpapi.AskRemote[Echo](t.Context(), client, "echo", Echo{})
	require.NoError(t, err)
	client.Prepare = func(*http.Request) error { return errSecret }
	_, err = httpapi.AskRemote[Echo](t.Context(), client, "echo", Echo{})
	require.ErrorIs(t, err, errSecret)
	_, err = client.Dispatch(t.Context(), "c", struct{}{}, "key")
	require.ErrorIs(t, err, errSecret)
	assert.NotErrorIs(t, err, eventstore.ErrOutcomeUnknown)
}
