package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/eventstore"
)

// fuzzed is what every request must leave behind, whatever it holds: a known status, a
// problem if it is refused, no panic, and no event unless it is accepted.
type fuzzed struct {
	service
	options  httpapi.Options
	statuses []int // that may be
}

func newFuzzed(options httpapi.Options, statuses ...int) *fuzzed {
	return &fuzzed{newService(options, nil), options, statuses}
}

func (f *fuzzed) send(t *testing.T, r *http.Request) *httptest.ResponseRecorder {
	before := f.head(t)
	if before > 100 { // long streams are slow
		f.service, before = newService(f.options, nil), 0
	}
	w := recorded(f, r)
	appended := f.head(t) - before
	if !slices.Contains(f.statuses, w.Code) {
		t.Fatalf("status %d: %s\n%s", w.Code, w.Body, f.logs)
	}
	if w.Code == http.StatusOK {
		f.accepted(t, w, appended, r.Method == http.MethodPost)
		return w
	}
	if appended != 0 {
		t.Fatalf("a request was refused with %d, and appended %d events", w.Code, appended)
	}
	var problem httpapi.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || problem.Status != w.Code || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Fatalf("not a problem: %s (%v)", w.Body, err)
	}
	if w.Body.Len() > 4<<10 {
		t.Fatalf("a problem of %d bytes sends the request back", w.Body.Len())
	}
	return w
}

func (f *fuzzed) accepted(t *testing.T, w *httptest.ResponseRecorder, appended eventstore.Position, isCommand bool) {
	if !json.Valid(w.Body.Bytes()) {
		t.Fatalf("not JSON: %s", w.Body)
	}
	if position := w.Header().Get("Leftfold-Position"); position != "" && isCommand {
		receipt := receiptOf(t, w)
		if receipt.Repeated == (appended > 0) || appended > 1 {
			t.Fatalf("%d events were appended, repeated is %v", appended, receipt.Repeated)
		}
	}
}

func FuzzBody(f *testing.F) {
	for _, body := range []string{
		`{"account":"ada","cents":500}`, `{"account":"ada","cents":1,"Note":"x","lines":[{"Quantity":255}]}`, `{"account":"a-\u0000","cents":1}`,
		`{"account":"ada","cents":1,"cents":2}`, `{"ACCOUNT":"ada","cents":1}`, `{"account":"ada","cents":99999999999}`, `{"account":"\ud800","cents":1}`,
		`{"account":"ada","cents":1}{}`, `{"account":null,"cents":1e9}`, `[]`, `null`, ``, "\xff", `{"lines":[[[[[[`, `{"account":"` + strings.Repeat("x", 300) + `","cents":1}`,
	} {
		f.Add(body)
	}
	s := newFuzzed(httpapi.Options{BodyBytes: 16 << 10}, 200, 400, 413, 422)
	f.Fuzz(func(t *testing.T, body string) {
		w := s.send(t, request(http.MethodPost, "/commands/account.deposit", body, http.Header{"Content-Type": {"application/json"}}))
		if w.Code == http.StatusOK && !isStrictly(body) {
			t.Fatalf("accepted: %q", body)
		}
	})
}

// isStrictly reports, by encoding/json alone, whether the body can be a Deposit.
func isStrictly(body string) bool {
	decoder := json.NewDecoder(strings.NewReader(body))
	decoder.DisallowUnknownFields()
	var deposit Deposit
	return json.Valid([]byte(body)) && decoder.Decode(&deposit) == nil && deposit.Cents > 0
}

func FuzzHeaders(f *testing.F) {
	token := eventstore.Token{Identity: eventstore.Identity{Store: eventstore.StoreID{1}, Incarnation: 1}, Position: 1}.String()
	f.Add("application/json", "", `"1"`, `"0"`, "1")
	f.Add("application/json; charset=utf-8", "identity", `"a \"b\" \\"`, `"7"`, "2")
	f.Add("text/json", "gzip", "a b", `W/"7"`, token)
	f.Add("application/json;", "", "\"\x00\"", `"99999999999999999999"`, "\xff")
	f.Add("application/json", "", "bare", "*", strings.Repeat("7", 300))
	s := newFuzzed(httpapi.Options{}, 200, 400, 412, 413, 415, 422)
	f.Fuzz(func(t *testing.T, contentType, encoding, key, ifMatch, account string) {
		header := http.Header{}
		for name, value := range map[string]string{"Content-Type": contentType, "Content-Encoding": encoding, "Idempotency-Key": key, "If-Match": ifMatch} {
			if value != "" {
				header.Set(name, value)
			}
		}
		body, err := json.Marshal(Withdraw{Account: account}) // of nothing: always possible
		require.NoError(t, err)
		s.send(t, request(http.MethodPost, "/commands/account.withdraw", string(body), header))
	})
}

func FuzzParameters(f *testing.F) {
	token := eventstore.Token{Identity: eventstore.Identity{Store: eventstore.StoreID{1}, Incarnation: 1}, Position: 1}.String()
	f.Add("id=ada&min=1&tag=a&tag=b&since=2026-11-26T18:00:00Z&factor=1.5&exact=true&limit=3&size=1", "", "")
	f.Add("id=%ff&id=%zz;&&=&", token, "wait=0")
	f.Add("min=32768&limit=-1&factor=NaN&exact=1", token+","+token, "wait=2, respond-async")
	f.Add("id=%00&since=0000-00-00T00:00:00Z", ",", "wait=99999999999999999999")
	s := newFuzzed(httpapi.Options{}, 200, 400)
	f.Fuzz(func(t *testing.T, parameters, after, prefer string) {
		header := http.Header{}
		for name, value := range map[string]string{"Leftfold-After": after, "Prefer": prefer} {
			if value != "" {
				header.Set(name, value)
			}
		}
		r := request(http.MethodGet, "/queries/echo", "", header)
		r.URL.RawQuery = parameters
		s.send(t, r)
	})
}

func FuzzFreshness(f *testing.F) {
	f.Add("max-age=0", "", "")
	f.Add("max-age=0, max-stale", "0", "wait=0")
	f.Add("MAX-STALE = \"60\",max-age=99999999999999999999", "1", "wait=0")
	f.Add("no-cache, max-age, max-stale=", "9", "wait=0")
	f.Add("max-age=-1;max-stale=\xff", "", "handling=lenient")
	s := newFuzzed(httpapi.Options{MaxWait: 1}, 200, 400, 503)
	receipt := receiptOf(f, post(s, "account.deposit", `{"account":"ada","cents":5}`))
	s.catchUp(f)
	receiptOf(f, post(s, "account.deposit", `{"account":"ada","cents":5}`))
	store, _, _ := strings.Cut(receipt.Position, ".")
	f.Fuzz(func(t *testing.T, cacheControl, after, prefer string) {
		header := http.Header{"Cache-Control": {cacheControl}, "Prefer": {prefer}}
		if after != "" {
			header.Set("Leftfold-After", store+".1."+after)
		}
		w := s.send(t, request(http.MethodGet, "/queries/get_balance?id=ada", "", header))
		stale, may := w.Header().Get("Leftfold-Missing") != "", strings.Contains(strings.ToLower(cacheControl), "max-stale")
		if stale && !may {
			t.Fatalf("stale, with %q", cacheControl)
		}
		if w.Code == http.StatusOK && w.Header().Get("Leftfold-Position") == "" {
			t.Fatal("no position")
		}
	})
}

// request makes one without the checks of a client.
func request(method, path, body string, header http.Header) *http.Request {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header = header
	return r
}
