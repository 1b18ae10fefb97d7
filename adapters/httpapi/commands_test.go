package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

func TestACommandIsAnsweredWithItsReceipt(t *testing.T) {
	s := newService(httpapi.Options{}, nil)
	w := post(s, "account.deposit", `{"account":"ada","cents":500}`)
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, head.Position)
	assert.Equal(t, httpapi.Receipt{Position: head.String(), Versions: map[eventstore.StreamID]eventstore.Version{"account-ada": 1}}, receiptOf(t, w))
	assert.JSONEq(t, fmt.Sprintf(`{"position":"%s","versions":{"account-ada":1},"repeated":false}`, head), w.Body.String())
	assert.Equal(t, http.Header{
		"Content-Type":           {"application/json"},
		"Content-Length":         {fmt.Sprint(w.Body.Len())},
		"Cache-Control":          {"no-store"},
		"X-Content-Type-Options": {"nosniff"},
		"Leftfold-Position":      {head.String()},
		"Etag":                   {`"1"`},
	}, w.Header())

	w = post(s, "fail", `{"How":"not at all"}`)
	assert.JSONEq(t, `{"versions":{},"repeated":false}`, w.Body.String(), "a handler that appends nothing")
	assert.Empty(t, w.Header()["Etag"])
	assert.Empty(t, w.Header()["Leftfold-Position"])
}

func TestARepeatGetsTheFirstReceipt(t *testing.T) {
	s := newService(httpapi.Options{}, nil)
	const key, body = `Idempotency-Key: "1"`, `{"account":"ada","cents":500}`
	first := post(s, "account.deposit", body, key)
	repeat := receiptOf(t, post(s, "account.deposit", ` {"cents":500, "account":"ada"}`, "Idempotency-Key: 1"))
	assert.True(t, repeat.Repeated)
	repeat.Repeated = false
	assert.Equal(t, receiptOf(t, first), repeat, "with or without quotes, however the JSON is laid out")

	told(t, post(s, "account.deposit", `{"account":"ada","cents":501}`, key), http.StatusUnprocessableEntity, httpapi.TypeKeyReused)
	told(t, post(s, "account.withdraw", body, key), http.StatusUnprocessableEntity, httpapi.TypeKeyReused)
	assert.EqualValues(t, 1, s.head(t))

	// Emptying the account makes itself impossible; its repeat is no refusal.
	const withdraw = `{"account":"ada","cents":500}`
	receiptOf(t, post(s, "account.withdraw", withdraw, `Idempotency-Key: "2"`))
	assert.True(t, receiptOf(t, post(s, "account.withdraw", withdraw, `Idempotency-Key: "2"`)).Repeated)
	told(t, post(s, "account.withdraw", withdraw, `Idempotency-Key: "3"`), http.StatusUnprocessableEntity, httpapi.TypeRefused)
	assert.EqualValues(t, 2, s.head(t))
}

func TestAKeyIsReadStrictly(t *testing.T) {
	s := newService(httpapi.Options{}, nil)
	long := func(n int) string { return fmt.Sprintf("%0*d", n, 0) }
	for _, headers := range [][]string{
		{`Idempotency-Key: "`}, {`Idempotency-Key: ""`}, {"Idempotency-Key: "}, {`Idempotency-Key: "a`}, {`Idempotency-Key: a"`},
		{`Idempotency-Key: "a"b"`}, {`Idempotency-Key: "a\b"`}, {`Idempotency-Key: "a\"`}, {"Idempotency-Key: a b"},
		{`Idempotency-Key: "a";q=1`}, {"Idempotency-Key: a,b"}, {"Idempotency-Key: \"a\tb\""}, {"Idempotency-Key: \"ä\""},
		{"Idempotency-Key: " + long(256)}, {`Idempotency-Key: "` + long(256) + `"`}, {"Idempotency-Key: a", "Idempotency-Key: a"},
	} {
		problem := told(t, post(s, "account.deposit", `{"account":"ada","cents":1}`, headers...), http.StatusBadRequest, httpapi.TypeMalformed)
		require.Len(t, problem.Errors, 1, headers)
		assert.Equal(t, "Idempotency-Key", problem.Errors[0].Header, headers)
	}
	require.Zero(t, s.head(t))
	for _, headers := range []string{
		`Idempotency-Key: "8e03978e-40d5-43dd-bc93-6894a57f9324"`, "Idempotency-Key: 8e03978e-40d5-43dd-bc93-6894a57f9325", `Idempotency-Key: "a \"b\" \\ c,;"`,
		"Idempotency-Key: " + long(255), ` Idempotency-Key: "d" `,
	} {
		receiptOf(t, post(s, "account.deposit", `{"account":"ada","cents":1}`, headers))
	}
	assert.EqualValues(t, 5, s.head(t))
}

func TestAKeyMayBeRequired(t *testing.T) {
	s := newService(httpapi.Options{RequireKey: true}, nil)
	told(t, post(s, "account.deposit", `{"account":"ada","cents":1}`), http.StatusBadRequest, httpapi.TypeKeyRequired)
	require.Zero(t, s.head(t))
	receiptOf(t, post(s, "account.deposit", `{"account":"ada","cents":1}`, "Idempotency-Key: 1"))
}

func TestIfMatchIsNeverIgnored(t *testing.T) {
	s := newService(httpapi.Options{}, nil)
	const body = `{"account":"ada","cents":1}`
	assert.Equal(t, `"1"`, post(s, "account.deposit", body, `If-Match: "0"`).Header().Get("ETag"))
	assert.Equal(t, `"2"`, post(s, "account.deposit", body, `If-Match: "1"`, "Idempotency-Key: 1").Header().Get("ETag"))
	assert.True(t, receiptOf(t, post(s, "account.deposit", body, `If-Match: "1"`, "Idempotency-Key: 1")).Repeated, "a repeat is no conflict")

	w := post(s, "account.deposit", body, `If-Match: "1"`)
	problem := told(t, w, http.StatusPreconditionFailed, httpapi.TypePreconditionFailed)
	assert.Equal(t, "account-ada is at version 2, not at that of If-Match; look at what there is now and send it again", problem.Detail)
	assert.Equal(t, `"2"`, w.Header().Get("ETag"))

	for _, value := range []string{`7`, `"7`, `W/"7"`, `"7", "8"`, `*`, `"-1"`, `"x"`, `""`, `"07"`, `"+7"`, `"9223372036854775808"`, `" 7"`, ``} {
		problem := told(t, post(s, "account.deposit", body, "If-Match: "+value), http.StatusBadRequest, httpapi.TypeMalformed)
		assert.Equal(t, "If-Match", problem.Errors[0].Header, value)
	}
	told(t, post(s, "account.deposit", body, `If-Match: "2"`, `If-Match: "2"`), http.StatusBadRequest, httpapi.TypeMalformed)

	problem = told(t, post(s, "account.deposit", body, "If-None-Match: *"), http.StatusBadRequest, httpapi.TypeMalformed)
	assert.Equal(t, "If-None-Match", problem.Errors[0].Header)

	told(t, post(s, "fail", `{"How":"not at all"}`, `If-Match: "1"`), http.StatusInternalServerError, httpapi.TypeInternal)
	assert.Contains(t, s.logs.String(), "version 1 was expected, and the handler did not check it")
	assert.EqualValues(t, 2, s.head(t))
}

func TestARouteThatIsNotThereIsExplained(t *testing.T) {
	s := newService(httpapi.Options{}, nil)
	problem := told(t, post(s, "account.steal", `{}`), http.StatusNotFound, httpapi.TypeUnknownName)
	assert.Equal(t, `there is no command "account.steal"; names are exact, as in /commands/{name}; there are: account.deposit, account.withdraw, fail`, problem.Detail)
	for _, name := range []string{"", "Account.deposit", "account.deposit/", "account.deposit%00", "account.deposit/../fail"} {
		told(t, post(httpapi.Commands(commandsOver(s.Store, nil), httpapi.Options{}), name, `{}`), http.StatusNotFound, httpapi.TypeUnknownName)
	}
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"} {
		w := do(s, method, "/commands/account.deposit", "")
		told(t, w, http.StatusMethodNotAllowed, httpapi.TypeMethodNotAllowed)
		assert.Equal(t, "POST", w.Header().Get("Allow"))
	}
	w := do(s, http.MethodPost, "/queries/get_balance", "")
	told(t, w, http.StatusMethodNotAllowed, httpapi.TypeMethodNotAllowed)
	assert.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
	told(t, get(s, "get_secret"), http.StatusNotFound, httpapi.TypeUnknownName)

	guarded := newService(httpapi.Options{Authorize: func(context.Context, httpapi.Request) (httpapi.Verdict, error) { return httpapi.Allow, nil }}, nil)
	problem = told(t, post(guarded, "x", `{}`), http.StatusNotFound, httpapi.TypeUnknownName)
	assert.NotContains(t, problem.Detail, "account.deposit", "who may do what is not known here")

	some := httpapi.Commands(commandsOver(s.Store, nil), httpapi.Options{Names: []string{"account.deposit"}})
	told(t, post(some, "account.withdraw", `{}`), http.StatusNotFound, httpapi.TypeUnknownName)
	assert.Zero(t, s.head(t))
}

// Every failure that a handler may return, and what the client is told of it.
func TestAFailureIsTold(t *testing.T) {
	const generic, unknown = "the server failed; its log tells why", "the command may have taken effect, and without an Idempotency-Key a repeat may do it twice; look before you repeat it"
	for name, c := range map[string]struct {
		err    error
		status int
		kind   string
		detail string
	}{
		"secret":     {errSecret, 500, httpapi.TypeInternal, generic},
		"unknown":    {eventstore.ErrOutcomeUnknown, 504, httpapi.TypeOutcomeUnknown, unknown},
		"busy then":  {fmt.Errorf("%w; tried again: %w", eventstore.ErrOutcomeUnknown, eventstore.ErrStoreBusy), 504, httpapi.TypeOutcomeUnknown, unknown},
		"deadline":   {context.DeadlineExceeded, 504, httpapi.TypeOutcomeUnknown, unknown},
		"cancelled":  {context.Canceled, 504, httpapi.TypeOutcomeUnknown, unknown},
		"busy":       {eventstore.ErrStoreBusy, 503, httpapi.TypeUnavailable, "the server is too busy or is stopping; try again, a command with the same Idempotency-Key"},
		"closed":     {eventstore.ErrClosed, 503, httpapi.TypeUnavailable, "the server is too busy or is stopping; try again, a command with the same Idempotency-Key"},
		"condition":  {&eventstore.ConditionFailedError{}, 409, httpapi.TypeConflict, "others were faster; look at what there is now and send it again"},
		"conflict":   {&eventstore.VersionConflictError{Stream: "a-1", Actual: 3}, 409, httpapi.TypeConflict, "a-1 is at version 3"},
		"diverged":   {fmt.Errorf("append: %w", eventstore.ErrDiverged), 503, httpapi.TypeUnavailable, "the log was restored or failed over while the command was decided; send it again, with the same Idempotency-Key"},
		"no problem": {(*httpapi.Problem)(nil), 500, httpapi.TypeInternal, generic},
		"deleted":    {eventstore.ErrStreamDeleted, 409, httpapi.TypeStreamDeleted, "what the command is about was deleted"},
		"invalid":    {fmt.Errorf("%w: no such size", command.ErrInvalidCommand), 422, httpapi.TypeInvalid, "no such size"},
		"a bad name": {&eventstore.InvalidError{What: "stream id", Value: "x", Reason: "want category-id"}, 422, httpapi.TypeInvalid, `invalid stream id "x": want category-id`},
		"a limit":    {&eventstore.LimitError{What: "event: bytes", Size: 2, Limit: 1}, 422, httpapi.TypeInvalid, "event: bytes too large: 2, the limit is 1"},
		"forbidden":  {&command.ForbiddenError{Principal: "eve", Err: errSecret}, 403, httpapi.TypeForbidden, "you may not do this"},
		"own":        {fmt.Errorf("x: %w", &httpapi.Problem{Type: "https://example.com/sold-out", Title: "Sold out", Status: 410, Detail: "all of them"}), 410, "https://example.com/sold-out", "all of them"},
		"no status":  {&httpapi.Problem{Type: "https://example.com/odd", Status: 200}, 500, "https://example.com/odd", ""},
		"too wide":   {eventstore.ErrConditionTooWide, 500, httpapi.TypeInternal, generic},
		"not a row":  {projection.ErrNotFound, 500, httpapi.TypeInternal, generic},
		"stack":      {&command.PanicError{Value: errSecret, Stack: []byte("the stack")}, 500, httpapi.TypeInternal, generic},
	} {
		s := newService(httpapi.Options{}, map[string]error{name: c.err})
		w := post(s, "fail", fmt.Sprintf(`{"How":%q}`, name))
		problem := told(t, w, c.status, c.kind)
		assert.Equal(t, c.detail, problem.Detail, name)
		assert.NotContains(t, w.Body.String(), "hunter2", name)
		assert.Equal(t, c.status == 503, w.Header().Get("Retry-After") == "1", name)
		if c.status < 500 {
			assert.Empty(t, s.logs.String(), name)
			continue
		}
		assert.Contains(t, s.logs.String(), problem.Instance, "the log has the instance that the client was told")
		assert.Contains(t, s.logs.String(), fmt.Sprint(c.err), name)
	}
}

func TestAnUnknownOutcomeUnderAKeyIsToBeRepeated(t *testing.T) {
	s := newService(httpapi.Options{}, map[string]error{"unknown": eventstore.ErrOutcomeUnknown})
	problem := told(t, post(s, "fail", `{"How":"unknown"}`, "Idempotency-Key: 1"), http.StatusGatewayTimeout, httpapi.TypeOutcomeUnknown)
	assert.Equal(t, "the command may have taken effect; repeat it with the same Idempotency-Key to find out", problem.Detail)
}

func TestAPanicIsAProblemAndLoggedWithItsStack(t *testing.T) {
	s := newService(httpapi.Options{}, nil)
	w := post(s, "fail", `{"How":"panic"}`)
	problem := told(t, w, http.StatusInternalServerError, httpapi.TypeInternal)
	assert.NotContains(t, w.Body.String(), "hunter2")
	for _, words := range []string{"hunter2", "fixtures_test.go", problem.Instance} {
		assert.Contains(t, s.logs.String(), words)
	}
}

func TestTimeIsUp(t *testing.T) {
	s := newService(httpapi.Options{Timeout: time.Millisecond}, nil)
	told(t, post(s, "fail", `{"How":"wait"}`), http.StatusGatewayTimeout, httpapi.TypeOutcomeUnknown)
	told(t, get(s, "fail?How=wait"), http.StatusGatewayTimeout, httpapi.TypeTimeout)
}

func TestAHookTellsWhatErrorsAre(t *testing.T) {
	full := &httpapi.Problem{Type: "https://example.com/poor", Title: "Poor", Status: http.StatusPaymentRequired}
	s := newService(httpapi.Options{Problem: func(err error) *httpapi.Problem {
		if err.Error() == "dispatch account.withdraw: execute account-ada: insufficient funds" {
			return full
		}
		return nil
	}}, map[string]error{"secret": errSecret})
	for range 2 {
		told(t, post(s, "account.withdraw", `{"account":"ada","cents":1}`), http.StatusPaymentRequired, full.Type)
	}
	told(t, post(s, "account.withdraw", `{"account":"bob","cents":1}`), http.StatusUnprocessableEntity, httpapi.TypeRefused)
	told(t, post(s, "fail", `{"How":"secret"}`), http.StatusInternalServerError, httpapi.TypeInternal)
}
