package httpapi

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Problem is what a client is told in place of an answer: a problem of RFC 9457, sent as
// application/problem+json. It is an error, so a hook may return one, and so may a handler
// of a bus that serves HTTP alone.
type Problem struct { //nolint:errname // RFC 9457 calls it so
	// Type says what kind of problem it is, as a URI that never changes: one of the Type
	// constants, or yours. Default: about:blank, the status says it all.
	Type string `json:"type,omitempty"`
	// Title is the same for every problem of the type. Default: the status in words.
	Title string `json:"title"`
	// Status is 400 to 599. Default, also for any other: 500.
	Status int `json:"status"`
	// Detail is about this one, for a person to read. Default: none.
	Detail string `json:"detail,omitempty"`
	// Instance names this occurrence; the log has it too. Default: a new URN from status
	// 500 on, none below.
	Instance string `json:"instance,omitempty"`
	// Errors are the fields or parameters at fault. Default: none.
	Errors []FieldError `json:"errors,omitempty"`

	// RetryAfter is the Retry-After header, in whole seconds, rounded up. Default: none.
	RetryAfter time.Duration `json:"-"`

	allow []string // the Allow header
	etag  string   // the ETag header
	cause error    // for the log
}

// FieldError says what is wrong with one part of a request: a field of the body, by its
// JSON pointer in the form of a URI fragment (RFC 6901, "#/lines/0/quantity"), a query
// parameter, or a header.
type FieldError struct {
	Pointer   string `json:"pointer,omitempty"`
	Parameter string `json:"parameter,omitempty"`
	Header    string `json:"header,omitempty"`
	Detail    string `json:"detail"`
}

// Types of problems, each with its status. They are part of the contract of the API, and
// the address of their explanation: this page.
const (
	// TypeMalformed: 400. The request is not understood; errors names the part.
	TypeMalformed = types + "TypeMalformed"
	// TypeKeyRequired: 400. Send an Idempotency-Key, a new one for each new command.
	TypeKeyRequired = types + "TypeKeyRequired"
	// TypeForeignToken: 400. A token of Leftfold-After is of a store that the query does not
	// read. Leave it out.
	TypeForeignToken = types + "TypeForeignToken"
	// TypeUnauthenticated: 401. See the header WWW-Authenticate.
	TypeUnauthenticated = types + "TypeUnauthenticated"
	// TypeForbidden: 403. The principal may not do this.
	TypeForbidden = types + "TypeForbidden"
	// TypeUnknownName: 404. There is no command or query of the name.
	TypeUnknownName = types + "TypeUnknownName"
	// TypeNotFound: 404. What the query asks for does not exist.
	TypeNotFound = types + "TypeNotFound"
	// TypeMethodNotAllowed: 405. Commands are for POST, queries for GET and HEAD.
	TypeMethodNotAllowed = types + "TypeMethodNotAllowed"
	// TypeConflict: 409. Others were faster, again and again. Read, decide, send it again.
	TypeConflict = types + "TypeConflict"
	// TypeStreamDeleted: 409. What the command is about was deleted, for ever.
	TypeStreamDeleted = types + "TypeStreamDeleted"
	// TypeDiverged: 409. A token of Leftfold-After is of a past life of the store, which was
	// restored or failed over since: what it stands for may be gone. Drop it and read again.
	TypeDiverged = types + "TypeDiverged"
	// TypePreconditionFailed: 412. It is not at the version of If-Match. The header ETag
	// has the one it is at.
	TypePreconditionFailed = types + "TypePreconditionFailed"
	// TypeTooLarge: 413. The body is larger than the server takes.
	TypeTooLarge = types + "TypeTooLarge"
	// TypeMediaType: 415. Send application/json in UTF-8, not compressed.
	TypeMediaType = types + "TypeMediaType"
	// TypeInvalid: 422. It is well-formed, and no state of the system would accept it.
	TypeInvalid = types + "TypeInvalid"
	// TypeRefused: 422. The decision was no, as things are now.
	TypeRefused = types + "TypeRefused"
	// TypeKeyReused: 422. The Idempotency-Key was used for another command. Nothing happened;
	// send it with a new key.
	TypeKeyReused = types + "TypeKeyReused"
	// TypeInternal: 500. The server failed. The log has the cause, under the instance.
	TypeInternal = types + "TypeInternal"
	// TypeUnavailable: 503. The server is too busy or is stopping, or the log began a new life
	// while a command was decided. Nothing happened, unless
	// detail says otherwise; try again.
	TypeUnavailable = types + "TypeUnavailable"
	// TypeNotCaughtUp: 503. The read model does not include the tokens of Leftfold-After yet, is
	// older than Cache-Control allows, or has not been built. Ask again.
	TypeNotCaughtUp = types + "TypeNotCaughtUp"
	// TypeParked: 503. What is asked for waits for people: its read model could not apply
	// an event that Leftfold-After requires.
	TypeParked = types + "TypeParked"
	// TypeOutcomeUnknown: 504. Time was up, or an answer was lost on the way: the command may
	// have taken effect. Repeat it with the same Idempotency-Key to find out.
	TypeOutcomeUnknown = types + "TypeOutcomeUnknown"
	// TypeTimeout: 504. The query took too long.
	TypeTimeout = types + "TypeTimeout"
)

const types = "https://pkg.go.dev/github.com/leftfold/leftfold/adapters/httpapi#"

// Error reads as the problem does.
func (p *Problem) Error() string {
	texts := []string{strconv.Itoa(p.status()) + " " + p.title()}
	if p.Detail != "" {
		texts[0] += ": " + p.Detail
	}
	for _, e := range p.Errors {
		texts = append(texts, cmp.Or(e.Pointer, e.Parameter, e.Header)+": "+e.Detail)
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns what the client is not told.
func (p *Problem) Unwrap() error {
	if p == nil { // a handler returned it as an error that is not nil
		return nil
	}
	return p.cause
}

func (p *Problem) status() int {
	if p.Status < http.StatusBadRequest || p.Status > 599 {
		return http.StatusInternalServerError
	}
	return p.Status
}

func (p *Problem) title() string {
	if p.Title != "" {
		return p.Title
	}
	return http.StatusText(p.status())
}

// write sends the problem.
func (p *Problem) write(w http.ResponseWriter) {
	told := *p
	told.Status, told.Title = p.status(), p.title()
	body, err := json.Marshal(told)
	if err != nil { // strings, numbers
		panic(err)
	}
	header := w.Header()
	if p.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
	if len(p.allow) > 0 {
		header.Set("Allow", strings.Join(p.allow, ", "))
	}
	if p.etag != "" {
		header.Set("ETag", p.etag)
	}
	send(w, told.Status, "application/problem+json", body)
}

// send writes an answer that nobody keeps, and no browser takes for something else.
func send(w http.ResponseWriter, status int, contentType string, body []byte) {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has left is not told
}

func malformed(detail string, errors ...FieldError) *Problem {
	return &Problem{Type: TypeMalformed, Status: http.StatusBadRequest, Detail: detail, Errors: errors}
}
