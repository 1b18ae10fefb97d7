package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
)

// Authenticate says on whose behalf a request is made: it looks at what the client has
// shown, such as a bearer token, and returns the principal, never an empty one. The
// principal is what commands are dispatched with, and what keys belong to.
//
// Anything but a principal and a nil error is a 401: an error, no name, a panic. An error
// that wraps a [*Problem] is told as that problem, such as a 503 while the keys cannot be
// fetched; the text of any other goes to the log.
type Authenticate func(r *http.Request) (principal string, err error)

// Authorize says whether a request may be made, with everything it asks for: it is called
// after the message has been read, and before any handler.
//
// Anything but [Allow] and a nil error is a 403: an error, a panic, the zero verdict. An
// error that wraps a [*Problem] is told as that problem.
type Authorize func(ctx context.Context, request Request) (Verdict, error)

// Request is what [Authorize] judges.
type Request struct {
	Principal string // empty without [Options.Authenticate]
	Name      string // of the command or query
	Message   any    // the command or the question, a value of its registered type
}

// Verdict is an answer of [Authorize].
type Verdict int

// Verdicts. The zero verdict is no verdict, and denies.
const (
	Deny Verdict = iota
	Allow
)

// principal asks the hook. Its error is a problem.
func (o Options) principal(r *http.Request) (principal string, err error) {
	if o.Authenticate == nil {
		return "", nil
	}
	principal, err = unpanicked(func() (string, error) { return o.Authenticate(r) })
	if err == nil && principal != "" {
		return principal, nil
	}
	return "", o.denied(r.Context(), err, &Problem{Type: TypeUnauthenticated, Status: http.StatusUnauthorized, Detail: "who are you? see the header WWW-Authenticate"})
}

// authorize asks the hook. Its error is a problem.
func (o Options) authorize(ctx context.Context, request Request) error {
	if o.Authorize == nil {
		return nil
	}
	verdict, err := unpanicked(func() (Verdict, error) { return o.Authorize(ctx, request) })
	if verdict == Allow && err == nil {
		return nil
	}
	return o.denied(ctx, err, &Problem{Type: TypeForbidden, Status: http.StatusForbidden, Detail: "you may not do this"})
}

// denied returns what the client is told of a no, and logs what it is not told.
func (o Options) denied(ctx context.Context, err error, no *Problem) error {
	if told := problemIn(err); told != nil {
		return told
	}
	if err != nil {
		o.Logger.WarnContext(ctx, "request denied", "status", no.Status, "error", err)
	}
	return no
}

// unpanicked makes an error of a panic, with the stack: a hook that panics has not said yes.
func unpanicked[T any](ask func() (T, error)) (answer T, err error) {
	defer func() {
		if p := recover(); p != nil {
			var none T
			answer, err = none, fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return ask()
}
