package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/query"
)

// endpoint answers a request, or returns why not. It writes nothing before it knows.
type endpoint func(w http.ResponseWriter, r *http.Request) error

// handler makes an http.Handler of the endpoint: with the time limit, and with a problem
// for every error and panic.
func (o Options) handler(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), o.Timeout)
		defer cancel()
		if problem := problemOf(attempt(e, w, r.WithContext(ctx))); problem != nil {
			o.report(r, problem)
			if problem.status() == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", o.Challenge)
			}
			problem.write(w)
		}
	})
}

// attempt turns a panic into an error, so that the client is told and the process goes on.
func attempt(e endpoint, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case http.ErrAbortHandler: // it asks net/http to drop the connection
			panic(p)
		default:
			err = &panicError{p, debug.Stack()}
		}
	}()
	return e(w, r)
}

type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// report logs what a person must look at: as an error, unless it is only late or busy and the client
// is asked to try again.
func (o Options) report(r *http.Request, p *Problem) {
	if p.status() < http.StatusInternalServerError {
		return
	}
	if p.Instance == "" {
		p.Instance = "urn:uuid:" + eventstore.NewEventID().String()
	}
	with := o.Logger.With("method", r.Method, "path", r.URL.Path, "status", p.status(), "instance", p.Instance, "error", p.cause)
	if stack := stackOf(p.cause); stack != nil {
		with = with.With("stack", string(stack))
	}
	level := slog.LevelError
	if p.RetryAfter > 0 {
		level = slog.LevelWarn
	}
	with.Log(r.Context(), level, "request failed")
}

// named returns what follows the prefix in the path: the name of a command or query.
func named[T any](path, prefix, what string, of map[string]T, o Options) (name string, found T, err error) {
	name, _ = strings.CutPrefix(path, prefix)
	found, ok := of[name]
	if ok && prefix+name == path {
		return name, found, nil
	}
	detail := fmt.Sprintf("there is no %s %.64q; names are exact, as in %s{name}", what, name, prefix)
	if o.Authorize == nil { // else a name may be nobody's business
		detail += "; there are: " + names(of)
	}
	return name, found, &Problem{Type: TypeUnknownName, Status: http.StatusNotFound, Detail: detail}
}

// names lists them, sorted.
func names[T any](of map[string]T) string {
	return strings.Join(slices.Sorted(maps.Keys(of)), ", ")
}

func stackOf(err error) []byte {
	if ours, ok := errors.AsType[*panicError](err); ok {
		return ours.stack
	}
	if theirs, ok := errors.AsType[*command.PanicError](err); ok {
		return theirs.Stack
	}
	if theirs, ok := errors.AsType[*query.PanicError](err); ok {
		return theirs.Stack
	}
	return nil
}
