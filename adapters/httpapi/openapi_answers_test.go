package httpapi_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/httpapi"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/jsonschema/jsonschematest"
	"github.com/leftfold/leftfold/projection"
)

// Every answer of a service is one of the document's: its status, its headers, its media type, its
// body and, of a problem, its type. And every status of the document is met.
func TestAnswersAreThoseOfTheDocument(t *testing.T) {
	options := httpapi.Options{
		RequireKey: true, BodyBytes: 100,
		Authenticate: func(r *http.Request) (string, error) { return r.Header.Get("From"), nil },
		Authorize: func(_ context.Context, r httpapi.Request) (httpapi.Verdict, error) {
			if r.Principal == "eve" {
				return httpapi.Deny, nil
			}
			return httpapi.Allow, nil
		},
	}
	s := newService(options, map[string]error{
		"secret": errSecret, "unknown": eventstore.ErrOutcomeUnknown, "busy": eventstore.ErrStoreBusy, "late": os.ErrDeadlineExceeded,
		"conflict": &eventstore.VersionConflictError{Stream: "a-1", Actual: 3}, "deleted": eventstore.ErrStreamDeleted,
		"refused": &aggregate.RefusedError{Err: errInsufficient}, "forbidden": &command.ForbiddenError{Principal: "eve", Err: errSecret},
		"diverged": eventstore.ErrDiverged, "foreign": eventstore.ErrForeignToken, "missing": projection.ErrNotFound,
		"bad":    &eventstore.InvalidError{What: "key", Reason: "it is empty"},
		"parked": &projection.ParkedError{Model: "balances"}, "own": &httpapi.Problem{Status: http.StatusTeapot},
	})
	d := newDocument(t, described(t, options))

	n := 0
	command := func(name, body string, headers ...string) {
		n++
		headers = append([]string{"From: ada", "Content-Type: application/json", "Idempotency-Key: " + strconv.Itoa(n)}, headers...)
		d.assertHas(t, "/commands/"+name, do(s, http.MethodPost, "/commands/"+name, body, headers...))
	}
	query := func(question string, headers ...string) {
		path, _, _ := strings.Cut("/queries/"+question, "?")
		d.assertHas(t, path, do(s, http.MethodGet, "/queries/"+question, "", append([]string{"From: ada"}, headers...)...))
	}
	command("account.deposit", `{"account":"ada","cents":5}`)
	s.catchUp(t)
	command("account.deposit", `{"account":"ada","cents":5}`, "If-Match: \"7\"")
	command("account.deposit", `{"account":"ada","cents":5}`, "If-Match: 7")
	command("account.deposit", `{"account":"ada","cents":0}`)
	command("account.deposit", `{"account":"ada"`)
	command("account.deposit", `{"account":"`+strings.Repeat("a", 100)+`"}`)
	command("account.withdraw", `{"account":"ada","cents":50}`)
	for _, how := range []string{"secret", "unknown", "busy", "conflict", "deleted", "refused", "forbidden", "own", "none"} {
		command("fail", `{"How":"`+how+`"}`)
		query("fail?How=" + how)
	}
	d.assertHas(t, "/commands/fail", do(s, http.MethodPost, "/commands/fail", `{}`, "From: ada", "Content-Type: application/json"))
	d.assertHas(t, "/commands/fail", do(s, http.MethodPost, "/commands/fail", `{}`, "From: ada", "Idempotency-Key: x"))
	d.assertHas(t, "/commands/fail", do(s, http.MethodPost, "/commands/fail", `{}`))
	d.assertHas(t, "/commands/fail", recorded(s, slow()))
	for _, how := range []string{"diverged", "foreign", "missing", "bad", "parked"} {
		query("fail?How=" + how)
	}
	query("get_balance?id=ada", "Prefer: wait=1, handling=lenient")
	query("get_balance?no=1")
	query("get_balance?id=ada", "Cache-Control: max-age=0")
	query("get_balance?id=ada", "Cache-Control: max-age=soon")
	command("account.deposit", `{"account":"ada","cents":5}`)
	query("get_balance?id=ada", "Cache-Control: max-age=0", "Prefer: wait=0")
	query("get_balance?id=ada", "Cache-Control: max-age=0, max-stale", "Prefer: wait=0")
	query("echo?tag=a&tag=b&min=-1&since=2026-01-02T03:04:05Z")
	d.assertHas(t, "/queries/echo", do(s, http.MethodGet, "/queries/echo", ""))
	d.assertHas(t, "/queries/echo", do(s, http.MethodGet, "/queries/echo", "", "From: eve"))
	slowQueries := newService(httpapi.Options{Timeout: 1}, nil)
	d.assertHas(t, "/queries/fail", get(slowQueries, "fail?How=wait"))

	d.assertAllMet(t)
}

// slow is a command whose body does not come in time.
func slow() *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/commands/fail", io.NopCloser(iotest.ErrReader(os.ErrDeadlineExceeded)))
	r.ContentLength = -1
	for _, header := range [][2]string{{"From", "ada"}, {"Content-Type", "application/json"}, {"Idempotency-Key", "slow"}} {
		r.Header.Set(header[0], header[1])
	}
	return r
}

// The check is only worth something if it finds an answer that the document does not have.
func TestAnAnswerThatTheDocumentDoesNotHaveIsFound(t *testing.T) {
	d := newDocument(t, described(t, httpapi.Options{}))
	answer := func(status int, media, body string, headers ...string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", media)
		for _, name := range headers {
			w.Header().Set(name, "x")
		}
		w.WriteHeader(status)
		_, _ = w.WriteString(body)
		return w
	}
	const receipt = `{"versions":{"a-1":1},"repeated":false}`
	require.NoError(t, d.has("/commands/fail", answer(200, "application/json", receipt, "ETag")))
	for want, w := range map[string]*httptest.ResponseRecorder{
		"no status 201":            answer(201, "application/json", receipt),
		"no text/plain":            answer(200, "text/plain", receipt),
		"no header Retry-After":    answer(200, "application/json", receipt, "Retry-After"),
		"no header Leftfold-Missi": answer(200, "application/json", receipt, "Leftfold-Missing"),
		"no header Age":            answer(200, "application/json", receipt, "Age"),
		"missing property 'repea":  answer(200, "application/json", `{"versions":{}}`),
		"got string, want integer": answer(200, "application/json", `{"versions":{"a-1":"1"},"repeated":false}`),
		"no problem #TypeNotFound": answer(409, "application/problem+json", `{"type":"#TypeNotFound","title":"x","status":409}`),
	} {
		assert.ErrorContains(t, d.has("/commands/fail", w), want)
	}
}

// document is an OpenAPI document that answers are compared with.
type document struct {
	any
	compiler *jsonschema.Compiler
	met      map[string]bool // places of responses
}

func newDocument(t *testing.T, text []byte) *document {
	d := &document{parsed(t, string(text)), jsonschema.NewCompiler(), map[string]bool{}}
	require.NoError(t, d.compiler.AddResource("openapi.json", d.any))
	return d
}

func (d *document) assertHas(t *testing.T, path string, w *httptest.ResponseRecorder) {
	t.Helper()
	assert.NoError(t, d.has(path, w), "%s answers %d %s", path, w.Code, w.Body)
}

// has returns what is not in the document of an answer to a request of the path.
func (d *document) has(path string, w *httptest.ResponseRecorder) error {
	place, err := d.response(path, w.Code)
	if err != nil {
		return err
	}
	d.met[place] = true
	for _, name := range []string{"Age", "ETag", "Leftfold-After", "Leftfold-Missing", "Leftfold-Position", "Preference-Applied", "Retry-After", "WWW-Authenticate"} {
		if w.Header().Get(name) != "" && jsonschematest.Follow(d.any, place+"/headers/"+name) == nil {
			return errors.New("no header " + name + " in " + place)
		}
	}
	media := w.Header().Get("Content-Type")
	content := place + "/content/" + strings.ReplaceAll(media, "/", "~1")
	if jsonschematest.Follow(d.any, content) == nil {
		return errors.New("no " + media + " in " + place)
	}
	return d.fits(place, content, w.Body.String())
}

// response returns the place of the response with the status.
func (d *document) response(path string, status int) (string, error) {
	for _, method := range []string{"post", "get"} {
		responses := "#/paths/" + strings.ReplaceAll(path, "/", "~1") + "/" + method + "/responses/"
		for _, place := range []string{responses + strconv.Itoa(status), responses + "default"} {
			if strings.HasSuffix(place, "default") && status != http.StatusTeapot {
				continue // what this package itself answers has a place of its own
			}
			if jsonschematest.Follow(d.any, place) == nil {
				continue
			}
			if to, isRef := jsonschematest.Follow(d.any, place+"/$ref").(string); isRef {
				return to, nil
			}
			return place, nil
		}
	}
	return "", errors.New("no status " + strconv.Itoa(status) + " of " + path)
}

func (d *document) fits(place, content, body string) error {
	schema, err := d.compiler.Compile("openapi.json" + content + "/schema")
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
	if err != nil {
		return err
	}
	if err := schema.Validate(value); err != nil {
		return err
	}
	problem, _ := value.(map[string]any)
	if kind, isOurs := problem["type"].(string); isOurs && strings.Contains(content, "problem") {
		if description, _ := jsonschematest.Follow(d.any, place+"/description").(string); !strings.Contains(description+"\n", "- "+kind+"\n") {
			return errors.New("no problem " + kind + " in " + place)
		}
	}
	return nil
}

func (d *document) assertAllMet(t *testing.T) {
	responses, _ := jsonschematest.Follow(d.any, "#/components/responses").(map[string]any)
	for name := range responses {
		assert.True(t, d.met["#/components/responses/"+name], "nothing was answered with %s", name)
	}
}
