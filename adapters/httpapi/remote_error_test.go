package httpapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// The errors of a remote query are those of one in the process.
func TestTheErrorOfARemoteQueryIsThatOfTheQuery(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err       error
		matches   error
		retryable bool
		outer     int // the status of a service that passes it on
	}{
		"missing":  {projection.ErrNotFound, projection.ErrNotFound, false, 404},
		"diverged": {eventstore.ErrDiverged, eventstore.ErrDiverged, false, 409},
		"foreign":  {eventstore.ErrForeignToken, eventstore.ErrForeignToken, false, 400},
		"late":     {&query.NotCaughtUpError{Model: "balances", At: 1, Err: context.DeadlineExceeded}, context.DeadlineExceeded, true, 503},
		"over":     {context.DeadlineExceeded, context.DeadlineExceeded, true, 504},
		"busy":     {eventstore.ErrStoreBusy, eventstore.ErrStoreBusy, true, 503},
		"parked":   {&projection.ParkedError{Model: "balances"}, nil, false, 503},
		"bad":      {&eventstore.InvalidError{What: "key"}, eventstore.ErrInvalid, false, 500},
		"secret":   {errSecret, nil, true, 500},
		"own":      {&httpapi.Problem{Status: 451, Type: "https://bank.example/law", Detail: "not here"}, nil, false, 500},
		"denied":   {&httpapi.Problem{Status: 401, Type: httpapi.TypeUnauthenticated}, nil, false, 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := wired(newService(httpapi.Options{}, map[string]error{name: c.err}))
			_, err := httpapi.AskRemote[any](t.Context(), client, "fail", Fail{name})
			remote, ok := errors.AsType[*httpapi.RemoteError](err)
			require.True(t, ok, err)
			assert.Equal(t, c.retryable, remote.Retryable)
			assert.NotContains(t, err.Error(), "hunter2")
			if c.matches != nil {
				require.ErrorIs(t, err, c.matches)
			}
			w := get(newService(httpapi.Options{}, map[string]error{"passed on": err}), "fail?How=passed+on")
			assert.Equal(t, c.outer, w.Code, w.Body)
			assert.NotContains(t, w.Body.String(), "accounts.internal", "who is asked is not for clients")
		})
	}
	_, err := httpapi.AskRemote[any](t.Context(), wired(newService(httpapi.Options{}, nil)), "no such", Fail{})
	require.EqualError(t, err, `no such of http://accounts.internal: 404: there is no query "no such"; names are exact, as in /queries/{name}; there are: echo, fail, get_balance (`+httpapi.TypeUnknownName+`)`)
}

func TestTheErrorOfARemoteCommandIsThatOfTheCommand(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err       error
		matches   error
		retryable bool
	}{
		"unknown":  {eventstore.ErrOutcomeUnknown, eventstore.ErrOutcomeUnknown, true},
		"over":     {context.DeadlineExceeded, eventstore.ErrOutcomeUnknown, true},
		"secret":   {errSecret, eventstore.ErrOutcomeUnknown, true},
		"conflict": {eventstore.ErrVersionConflict, eventstore.ErrVersionConflict, true},
		"reused":   {eventstore.ErrIdempotencyMismatch, eventstore.ErrIdempotencyMismatch, false},
		"deleted":  {eventstore.ErrStreamDeleted, eventstore.ErrStreamDeleted, false},
		"busy":     {eventstore.ErrStoreBusy, eventstore.ErrStoreBusy, true},
		"bad":      {command.ErrInvalidCommand, command.ErrInvalidCommand, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := wired(newService(httpapi.Options{}, map[string]error{name: c.err}))
			_, err := client.Dispatch(t.Context(), "fail", Fail{name}, "key")
			require.ErrorIs(t, err, c.matches)
			remote, ok := errors.AsType[*httpapi.RemoteError](err)
			require.True(t, ok)
			assert.Equal(t, c.retryable, remote.Retryable)
			assert.NotContains(t, err.Error(), "hunter2")
			assert.Equal(t, errors.Is(c.matches, eventstore.ErrOutcomeUnknown), errors.Is(err, eventstore.ErrOutcomeUnknown))
		})
	}
}

func TestARemoteErrorDoesNotTellTheQuestion(t *testing.T) {
	t.Parallel()
	client := &httpapi.Client{URL: "http://accounts.internal", HTTP: &http.Client{Transport: failing{}}}
	_, err := httpapi.AskRemote[Balance](t.Context(), client, "get_balance", GetBalance{"secret-id"})
	require.EqualError(t, err, "get_balance of http://accounts.internal: password=hunter2")
	_, isURL := errors.AsType[*url.Error](err)
	assert.False(t, isURL)
}

type failing struct{}

func (failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, errSecret }

func TestAnErrorKeepsThePasswordOfAnAddressToItself(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"http://us:hunter2@orders.internal/v1", "http://us:hunter2@orders internal"} {
		err := &httpapi.RemoteError{Name: "get_order", URL: address, Status: http.StatusBadGateway}
		assert.NotContains(t, err.Error(), "hunter2")
		assert.Contains(t, err.Error(), "get_order of ")
	}
}
