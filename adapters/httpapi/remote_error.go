package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// RemoteError says why another service did not answer a question, or did not confirm a command. It
// matches the error that the same call in one process would have, where the service has told
// (see the Type constants): [eventstore.ErrVersionConflict], [*aggregate.RefusedError],
// [projection.ErrNotFound], [*query.NotCaughtUpError] and so on; else the error of the way there.
// A command that may have taken effect matches [eventstore.ErrOutcomeUnknown].
type RemoteError struct {
	// Name is that of the command or query, and URL that of the client.
	Name, URL string
	// Status is that of the answer; 0 if none came.
	Status int
	// Problem is what the service told; nil if it did not.
	Problem *Problem
	// Retryable: the same request may be sent again, harmlessly, and may then be answered. For
	// a command that is one with the same key.
	Retryable bool
	// RetryAfter is how long the service asks to wait until then; 0 if it does not say.
	RetryAfter time.Duration
	// Err is what it matches, nil if nothing.
	Err error
}

func (e *RemoteError) Error() string {
	text := fmt.Sprintf("%s of %s: ", e.Name, redacted(e.URL))
	switch {
	case e.Problem != nil && e.Problem.Detail != "":
		return fmt.Sprintf("%s%d: %s (%s)", text, e.Status, e.Problem.Detail, e.Problem.Type)
	case e.Err != nil:
		return text + e.Err.Error()
	default:
		return fmt.Sprintf("%s%d %s", text, e.Status, http.StatusText(e.Status))
	}
}

// Unwrap returns what the error matches.
func (e *RemoteError) Unwrap() error { return e.Err }

// is reports whether the service told a problem of the type.
func (e *RemoteError) is(kind string) bool { return e.Problem != nil && e.Problem.Type == kind }

// uselessError is about an answer that would be no better if it came again.
type uselessError struct{ error }

func (e *uselessError) Unwrap() error { return e.error }

// isUnsent reports whether a request that had no connection cannot have been seen by the service. The
// error alone does not tell: net/http and discovery.Transport send a request with a key again, and
// then it is that of the last time.
func isUnsent(err error) bool {
	operation, ok := errors.AsType[*net.OpError](err)
	return ok && operation.Op == "dial"
}

// meaning is what a problem of a type, told by a service, means here.
type meaning struct {
	err       error
	retryable bool
}

// What problems of queries and of commands mean. Those whose error has more to tell are made in
// meaningOf.
var (
	queryMeanings = map[string]meaning{
		TypeNotFound:     {projection.ErrNotFound, false},
		TypeForeignToken: {eventstore.ErrForeignToken, false},
		TypeDiverged:     {eventstore.ErrDiverged, false},
		TypeInvalid:      {eventstore.ErrInvalid, false},
		TypeUnavailable:  {eventstore.ErrStoreBusy, true},
		TypeParked:       {nil, false},
	}
	commandMeanings = map[string]meaning{
		TypeMalformed:          {command.ErrInvalidCommand, false},
		TypeInvalid:            {command.ErrInvalidCommand, false},
		TypeTooLarge:           {eventstore.ErrTooLarge, false},
		TypeConflict:           {eventstore.ErrVersionConflict, true},
		TypePreconditionFailed: {eventstore.ErrVersionConflict, false},
		TypeStreamDeleted:      {eventstore.ErrStreamDeleted, false},
		TypeKeyReused:          {eventstore.ErrIdempotencyMismatch, false},
		TypeUnavailable:        {eventstore.ErrStoreBusy, true},
	}
)

// passes reports whether a status without a known type is one that may pass.
func passes(status int) bool {
	return status >= http.StatusInternalServerError || status == http.StatusRequestTimeout ||
		status == http.StatusTooEarly || status == http.StatusTooManyRequests
}

// failed is the error of a call that got an answer which is none.
func (c call) failed(r received) *RemoteError {
	e := &RemoteError{Name: c.name, URL: c.URL, Status: r.status, Problem: r.problem(), Retryable: passes(r.status), RetryAfter: retryAfter(r.header)}
	if r.status/100 == 3 {
		e.Err = errors.New("the service answers with a redirect, which is not followed; correct Client.URL")
	}
	return e
}

// lost is the error of a call that got no answer, or one that cannot be used.
func (c call) lost(r received, err error) *RemoteError {
	_, useless := errors.AsType[*uselessError](err)
	return &RemoteError{Name: c.name, URL: c.URL, Status: r.status, Err: err, Retryable: !useless}
}

// detailed is the error of a type that tells more than that.
func detailed(told *Problem) error {
	switch told.Type {
	case TypeRefused:
		return &aggregate.RefusedError{Err: errors.New(told.Detail)}
	case TypeForbidden:
		return &command.ForbiddenError{Err: errors.New(told.Detail)}
	}
	return nil
}

// remoteProblem tells a client why its query failed, if that is because of another service: what
// may pass, without its text. nil if it is as an error of this process, or for the log alone.
func remoteProblem(err error) *Problem {
	e, ok := errors.AsType[*RemoteError](err)
	switch {
	case !ok || errors.Is(err, context.Canceled):
		return nil
	case e.is(TypeNotCaughtUp):
		return later(err, TypeNotCaughtUp, "a service that the answer needs has not caught up; ask again")
	case e.is(TypeParked):
		return caused(err, TypeParked, http.StatusServiceUnavailable, "a service that the answer needs could not apply an event that the answer must include; it waits for people")
	case errors.Is(err, context.DeadlineExceeded):
		return nil
	case e.Retryable && !e.is(TypeInternal):
		return later(err, TypeUnavailable, "a service that the answer needs is not available; ask again")
	default:
		return nil
	}
}

// redacted returns an address without the password that it may have.
func redacted(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return "an address that is none"
	}
	return parsed.Redacted()
}
