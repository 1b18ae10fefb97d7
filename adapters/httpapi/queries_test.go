package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

func TestAQueryIsAnswered(t *testing.T) {
	s := newService(httpapi.Options{}, nil)
	position := receiptOf(t, post(s, "account.deposit", `{"account":"ada","cents":5}`)).Position
	s.catchUp(t)
	for range 2 {
		w := get(s, "get_balance?id=ada", "Leftfold-After: "+position)
		assert.Equal(t, http.StatusOK, w.Code)
		assert.JSONEq(t, `{"ID":"ada","Cents":5}`, w.Body.String())
		assert.Equal(t, http.Header{
			"Content-Type":           {"application/json"},
			"Content-Length":         {"22"},
			"Cache-Control":          {"no-store"},
			"Leftfold-Position":      {position},
			"X-Content-Type-Options": {"nosniff"},
		}, w.Header())
	}
	assert.Equal(t, "22", do(s, http.MethodHead, "/queries/get_balance?id=ada", "").Header().Get("Content-Length"))
	told(t, get(s, "get_balance?id=bob"), http.StatusNotFound, httpapi.TypeNotFound)
}

func TestParametersAreReadStrictly(t *testing.T) {
	s := newService(httpapi.Options{}, nil)
	w := get(s, "echo?id=a%2Bb%20c%C3%A4&min=-32768&tag=x&tag=&size=1&size=65535&since=2026-11-26T18:00:00.5%2B01:00&exact=true&factor=-1.5e3&limit=255")
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	var got Echo
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	least := int16(-32768)
	since := time.Date(2026, 11, 26, 17, 0, 0, 500_000_000, time.UTC)
	assert.WithinDuration(t, since, got.Since, 0)
	got.Since = time.Time{}
	assert.Equal(t, Echo{ID: "a+b cä", Min: &least, Tags: []string{"x", ""}, Sizes: []uint16{1, 65535}, Exact: true, Factor: -1500, Paging: Paging{255}}, got)

	w = get(s, "echo")
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	assert.Nil(t, got.Min, "what is left out is zero, and nil for a pointer")
	assert.Nil(t, got.Tags)

	for parameters, want := range map[string]httpapi.FieldError{
		"ID=ada":            {Parameter: "ID", Detail: "there is no such parameter; there are: exact, factor, id, limit, min, since, size, tag, until"},
		"Hidden=x":          {Parameter: "Hidden", Detail: "there is no such parameter; there are: exact, factor, id, limit, min, since, size, tag, until"},
		"hidden=x":          {Parameter: "hidden", Detail: "there is no such parameter; there are: exact, factor, id, limit, min, since, size, tag, until"},
		"Paging=x":          {Parameter: "Paging", Detail: "there is no such parameter; there are: exact, factor, id, limit, min, since, size, tag, until"},
		"id=a&id=a":         {Parameter: "id", Detail: "it is given twice"},
		"id=%ff":            {Parameter: "id", Detail: "it is not UTF-8"},
		"min=":              {Parameter: "min", Detail: "it is to be a whole number of 16 bits"},
		"min=32768":         {Parameter: "min", Detail: "it is out of range, it is to be a whole number of 16 bits"},
		"min=1.0":           {Parameter: "min", Detail: "it is to be a whole number of 16 bits"},
		"min=%2B1":          {Parameter: "min", Detail: "it is to be a whole number of 16 bits"},
		"min=01":            {Parameter: "min", Detail: "it is to be a whole number of 16 bits"},
		"min=%201":          {Parameter: "min", Detail: "it is to be a whole number of 16 bits"},
		"min=null":          {Parameter: "min", Detail: "it is to be a whole number of 16 bits"},
		"limit=-1":          {Parameter: "limit", Detail: "it is to be a whole number of 8 bits, not negative"},
		"limit=256":         {Parameter: "limit", Detail: "it is out of range, it is to be a whole number of 8 bits, not negative"},
		"size=1&size=70000": {Parameter: "size", Detail: "it is out of range, it is to be a whole number of 16 bits, not negative"},
		"factor=NaN":        {Parameter: "factor", Detail: "it is to be a number"},
		"factor=1e39":       {Parameter: "factor", Detail: "it is out of range, it is to be a number"},
		"factor=0x1p3":      {Parameter: "factor", Detail: "it is to be a number"},
		"exact=1":           {Parameter: "exact", Detail: "it is to be true or false"},
		"since=yesterday":   {Parameter: "since", Detail: `it is to be a time: parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"`},
		"until=1":           {Parameter: "until", Detail: `it is to be a time: parsing time "1" as "2006-01-02T15:04:05Z07:00": cannot parse "1" as "2006"`},
	} {
		problem := told(t, get(s, "echo?"+parameters), http.StatusBadRequest, httpapi.TypeMalformed)
		if assert.Len(t, problem.Errors, 1, parameters) {
			assert.Equal(t, want, problem.Errors[0], parameters)
		}
	}
	for _, parameters := range []string{"id=%zz", "id=a;min=1", "%"} {
		told(t, get(s, "echo?"+parameters), http.StatusBadRequest, httpapi.TypeMalformed)
	}
}

func TestAQuestionThatParametersCannotSayIsFoundAtTheStart(t *testing.T) {
	type Nested struct{ In struct{ A int } }
	type Bytes struct{ B []byte }
	type Twice struct {
		A int `json:"B"`
		B int
	}
	type Pointer struct{ *Paging }
	for want, register := range map[string]func(bus *query.Bus){
		"string is no struct":                                       asks[string],
		"field In: a parameter cannot be a struct { A int }":        asks[Nested],
		"field B: a parameter cannot be a []uint8":                  asks[Bytes],
		`field B: another field has its name "B"`:                   asks[Twice],
		"field Paging: a parameter cannot be a httpapi_test.Paging": asks[Pointer],
	} {
		bus := query.NewBus()
		register(bus)
		assert.PanicsWithValue(t, `httpapi: query "q": `+want+"; leave it out of Options.Names or change it", func() { httpapi.Queries(bus, httpapi.Options{}) })
	}
}

func asks[Q any](bus *query.Bus) {
	query.Handle(bus, "q", func(context.Context, Q) (int, error) { return 0, nil })
}

func TestAnAnswerIncludesWhatWasJustWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(httpapi.Options{}, nil)
		position := receiptOf(t, post(s, "account.deposit", `{"account":"ada","cents":5}`)).Position
		time.AfterFunc(3*time.Second, func() { s.catchUp(t) })
		began := time.Now()
		w := get(s, "get_balance?id=ada", "Leftfold-After: "+position)
		require.JSONEq(t, `{"ID":"ada","Cents":5}`, w.Body.String())
		assert.InDelta(t, 3, time.Since(began).Seconds(), 0.021)
	})
}

func TestAnAnswerThatIsLateIsAProblemAndNeverStale(t *testing.T) {
	for name, c := range map[string]struct {
		prefer  []string
		took    time.Duration
		applied string
	}{
		"no wish":            {nil, 5 * time.Second, ""},
		"2 s":                {[]string{"Prefer: wait=2"}, 2 * time.Second, "wait=2"},
		"at once":            {[]string{"Prefer: wait=0"}, 0, "wait=0"},
		"longer than may be": {[]string{"Prefer: respond-async, Wait = 9999 ; x=y"}, 20 * time.Second, "wait=20"},
		"the first counts":   {[]string{"Prefer: return=minimal", "Prefer: wait=1, wait=3"}, time.Second, "wait=1"},
		"not understood":     {[]string{"Prefer: wait=soon"}, 5 * time.Second, ""},
		"negative":           {[]string{"Prefer: wait=-1"}, 5 * time.Second, ""},
		"too many digits":    {[]string{"Prefer: wait=99999999999999999999"}, 5 * time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(httpapi.Options{}, nil)
				receiptOf(t, post(s, "account.deposit", `{"account":"ada","cents":5}`))
				s.catchUp(t)
				position := receiptOf(t, post(s, "account.deposit", `{"account":"ada","cents":5}`)).Position
				began := time.Now()
				w := get(s, "get_balance?id=ada", append(c.prefer, "Leftfold-After: "+position)...)
				assert.Equal(t, c.took, time.Since(began))
				problem := told(t, w, http.StatusServiceUnavailable, httpapi.TypeNotCaughtUp)
				assert.Equal(t, "balances has applied position 1 and not yet 2; ask again", problem.Detail)
				assert.Equal(t, "1", w.Header().Get("Retry-After"))

				s.catchUp(t)
				w = get(s, "get_balance?id=ada", append(c.prefer, "Leftfold-After: "+position)...)
				assert.JSONEq(t, `{"ID":"ada","Cents":10}`, w.Body.String())
				assert.Equal(t, c.applied, w.Header().Get("Preference-Applied"))
			})
		})
	}
}

func TestATokenThatCannotBeHonouredIsAProblem(t *testing.T) {
	s := newService(httpapi.Options{}, nil)
	mine := receiptOf(t, post(s, "account.deposit", `{"account":"ada","cents":5}`)).Position
	s.catchUp(t)
	foreign := eventstore.Token{Identity: eventstore.Identity{Store: eventstore.StoreID{1}, Incarnation: 1}, Position: 1}.String()
	head, err := s.Head(t.Context())
	require.NoError(t, err)
	head.Incarnation++
	later := head.String()

	require.Equal(t, http.StatusOK, get(s, "get_balance?id=ada", "Leftfold-After: "+mine+" , "+mine, "Leftfold-After: "+mine).Code)
	told(t, get(s, "get_balance?id=ada", "Leftfold-After: "+foreign), http.StatusBadRequest, httpapi.TypeForeignToken)
	told(t, get(s, "get_balance?id=ada", "Leftfold-After: "+mine+", "+foreign), http.StatusBadRequest, httpapi.TypeForeignToken)
	told(t, get(s, "get_balance?id=ada", "Leftfold-After: "+mine, "Leftfold-After: "+foreign), http.StatusBadRequest, httpapi.TypeForeignToken)
	told(t, get(s, "get_balance?id=ada", "Leftfold-After: "+later, "Prefer: wait=0"), http.StatusServiceUnavailable, httpapi.TypeNotCaughtUp)
	for _, value := range []string{"", "1", mine + ",", "," + mine, mine + "x", strings.Repeat(mine+",", 64) + mine} {
		problem := told(t, get(s, "get_balance?id=ada", "Leftfold-After: "+value), http.StatusBadRequest, httpapi.TypeMalformed)
		assert.Equal(t, "Leftfold-After", problem.Errors[0].Header)
	}
}

func TestAFailureOfAQueryIsTold(t *testing.T) {
	parked := &projection.ParkedError{Model: "balances", Keys: []projection.Parked{{Key: "ada", Cause: "hunter2"}}}
	for name, c := range map[string]struct {
		err    error
		status int
		kind   string
		detail string
	}{
		"secret":   {errSecret, 500, httpapi.TypeInternal, "the server failed; its log tells why"},
		"parked":   {parked, 503, httpapi.TypeParked, "balances could not apply an event that the answer must include; it waits for people"},
		"building": {&projection.BuildingError{Build: projection.Build{Generation: projection.Generation{Name: "balances"}}, Err: context.DeadlineExceeded}, 503, httpapi.TypeNotCaughtUp, "balances is being built; ask again"},
		"not yet":  {fmt.Errorf("read balances@1: %w", projection.ErrNotBuilt), 503, httpapi.TypeNotCaughtUp, "what the answer is read from has not been built yet; ask again"},
		"diverged": {eventstore.ErrDiverged, 409, httpapi.TypeDiverged, "a token of Leftfold-After is of a past life of the store; drop it and read again"},
		"missing":  {projection.ErrNotFound, 404, httpapi.TypeNotFound, "what the query asks for does not exist"},
		"late":     {context.DeadlineExceeded, 504, httpapi.TypeTimeout, "the query took too long"},
		"bad key":  {&eventstore.InvalidError{What: "key", Reason: "it is empty"}, 422, httpapi.TypeInvalid, "invalid key: it is empty"},
		"closed":   {eventstore.ErrClosed, 503, httpapi.TypeUnavailable, "the server is too busy or is stopping; try again, a command with the same Idempotency-Key"},
		"none":     {(*httpapi.Problem)(nil), 500, httpapi.TypeInternal, "the server failed; its log tells why"},
		"own":      {&httpapi.Problem{Status: 418}, 418, "", ""},
	} {
		s := newService(httpapi.Options{}, map[string]error{name: c.err})
		w := get(s, fmt.Sprintf("fail?How=%s", strings.ReplaceAll(name, " ", "+")))
		assert.Equal(t, c.detail, told(t, w, c.status, c.kind).Detail, name)
		assert.NotContains(t, w.Body.String(), "hunter2")
		switch logs := s.logs.String(); {
		case c.status < 500:
			assert.Empty(t, logs, name)
		case w.Header().Get("Retry-After") != "":
			assert.Contains(t, logs, "level=WARN", "%s: the client asks again", name)
		default:
			assert.Contains(t, logs, "level=ERROR", name)
		}
	}
}

func TestAnAnswerThatJSONCannotSayIsAProblem(t *testing.T) {
	bus := query.NewBus()
	query.Handle(bus, "q", func(context.Context, struct{}) (any, error) { return func() {}, nil })
	told(t, get(httpapi.Queries(bus, httpapi.Options{Logger: quiet}), "q"), http.StatusInternalServerError, httpapi.TypeInternal)
}
