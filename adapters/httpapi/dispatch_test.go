package httpapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
)

func TestARemoteCommandIsRefusedAsInTheProcess(t *testing.T) {
	t.Parallel()
	s := newService(httpapi.Options{RequireKey: true}, nil)
	client := wired(s)
	_, err := client.Dispatch(t.Context(), "account.withdraw", Withdraw{"ada", 1}, "a")
	refused, ok := errors.AsType[*aggregate.RefusedError](err)
	require.True(t, ok, err)
	require.EqualError(t, refused, errInsufficient.Error())

	deposit := Deposit{Account: "ada", Cents: 5, Lines: []Line{}}
	for range 2 {
		receipt, err := client.Dispatch(t.Context(), "account.deposit", deposit, `a "key" \ of ours, really`, httpapi.IfMatch(0))
		require.NoError(t, err)
		assert.EqualValues(t, 1, receipt.Versions["account-ada"])
	}
	assert.EqualValues(t, 1, s.head(t), "once")
	_, err = client.Dispatch(t.Context(), "account.deposit", deposit, "b", httpapi.IfMatch(0))
	require.ErrorIs(t, err, eventstore.ErrVersionConflict)
	remote, _ := errors.AsType[*httpapi.RemoteError](err)
	assert.False(t, remote.Retryable)
	_, err = client.Dispatch(t.Context(), "account.deposit", Deposit{}, "c")
	require.ErrorIs(t, err, command.ErrInvalidCommand)

	for _, key := range []string{"", "ä", strings.Repeat("k", 256)} {
		_, err = client.Dispatch(t.Context(), "account.deposit", deposit, key)
		require.ErrorIs(t, err, command.ErrInvalidCommand)
	}
	_, err = client.Dispatch(t.Context(), "account.deposit", func() {}, "d")
	require.ErrorIs(t, err, command.ErrInvalidCommand)
	assert.EqualValues(t, 1, s.head(t))
}

// What never arrived has not happened; what may have arrived may have.
func TestACommandThatIsLostOnTheWayMayHaveTakenEffect(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	client := &httpapi.Client{URL: gone.URL}
	_, err := client.Dispatch(t.Context(), "c", struct{}{}, "key")
	require.Error(t, err)
	assert.NotErrorIs(t, err, eventstore.ErrOutcomeUnknown, "nobody listened")
	remote, ok := errors.AsType[*httpapi.RemoteError](err)
	require.True(t, ok)
	assert.True(t, remote.Retryable)

	client = listen(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	_, err = client.Dispatch(t.Context(), "c", struct{}{}, "key")
	require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown, "the connection was cut")
	ctx, cancel := context.WithCancel(t.Context())
	client = listen(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	_, err = client.Dispatch(ctx, "c", struct{}{}, "key")
	require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown, "the caller has left")
	require.ErrorIs(t, err, context.Canceled)
}

// A request with a key is sent again by net/http when its connection was an old one. That nobody
// listens the second time says nothing of the first.
func TestACommandThatWasSentOnceIsNotUnsentBecauseItsRepeatIs(t *testing.T) {
	t.Parallel()
	arrived := 0
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if arrived++; arrived == 1 {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"versions":{},"repeated":false}`)
			return
		}
		_ = server.Listener.Close() // it has taken effect, and the process is killed
		panic(http.ErrAbortHandler)
	}))
	defer server.Close()
	client := &httpapi.Client{URL: server.URL, HTTP: server.Client()}
	_, err := client.Dispatch(t.Context(), "c", struct{}{}, "one")
	require.NoError(t, err)
	_, err = client.Dispatch(t.Context(), "c", struct{}{}, "two")
	require.ErrorContains(t, err, "connection refused", "net/http has tried again")
	require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown)
}

// What stands between here and there says 200 too.
func TestJSONThatIsNoReceiptConfirmsNothing(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `null`, `{"message":"ok"}`, `{"versions":null}`} {
		client := wired(says{status: 200, media: "application/json", body: body})
		_, err := client.Dispatch(t.Context(), "c", struct{}{}, "key")
		require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown, body)
		require.ErrorContains(t, err, "the answer is no receipt", body)
	}
}
