package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/query"
)

// soon is when to try again what is only late or busy.
const soon = time.Second

// problemOf returns the error as a problem; nil if there is none. What no one knows is a 500
// that says nothing.
func problemOf(err error) *Problem {
	if err == nil {
		return nil
	}
	if told := problemIn(err); told != nil {
		copied := *told // it may be the user's, for every request the same
		if copied.cause == nil {
			copied.cause = err
		}
		return &copied
	}
	return caused(err, TypeInternal, http.StatusInternalServerError, "the server failed; its log tells why")
}

func caused(err error, kind string, status int, detail string) *Problem {
	return &Problem{Type: kind, Status: status, Detail: detail, cause: err}
}

// commandProblem tells a client why its command failed. What is certain comes last: when the
// outcome of one try is unknown, nothing that a later try says counts.
func (o Options) commandProblem(err error, sent envelope) error {
	if told := o.theirs(err); told != nil {
		return told
	}
	switch {
	case errors.Is(err, eventstore.ErrOutcomeUnknown), isOver(err):
		return caused(err, TypeOutcomeUnknown, http.StatusGatewayTimeout, sent.unknown())
	case errors.Is(err, eventstore.ErrIdempotencyMismatch):
		return caused(err, TypeKeyReused, http.StatusUnprocessableEntity, "the Idempotency-Key was used for another command; nothing has happened, use a new key")
	case errors.Is(err, eventstore.ErrVersionConflict), errors.Is(err, eventstore.ErrConditionFailed):
		return conflict(err, sent)
	case errors.Is(err, eventstore.ErrDiverged): // again and again: one new life is not noticed by a client
		return later(err, TypeUnavailable, "the log was restored or failed over while the command was decided; send it again, with the same Idempotency-Key")
	case errors.Is(err, eventstore.ErrStreamDeleted):
		return caused(err, TypeStreamDeleted, http.StatusConflict, "what the command is about was deleted")
	case errors.Is(err, command.ErrInvalidCommand):
		_, detail, _ := strings.Cut(err.Error(), command.ErrInvalidCommand.Error()+": ")
		return caused(err, TypeInvalid, http.StatusUnprocessableEntity, detail)
	}
	if refused, ok := errors.AsType[*aggregate.RefusedError](err); ok {
		return caused(err, TypeRefused, http.StatusUnprocessableEntity, refused.Error())
	}
	if _, ok := errors.AsType[*command.ForbiddenError](err); ok {
		return caused(err, TypeForbidden, http.StatusForbidden, "you may not do this")
	}
	return either(err)
}

// unknown says what to do about a command that may have taken effect.
func (e envelope) unknown() string {
	if e.key == "" {
		return "the command may have taken effect, and without an Idempotency-Key a repeat may do it twice; look before you repeat it"
	}
	return "the command may have taken effect; repeat it with the same Idempotency-Key to find out"
}

func conflict(err error, sent envelope) *Problem {
	problem := caused(err, TypeConflict, http.StatusConflict, "others were faster; look at what there is now and send it again")
	at, ok := errors.AsType[*eventstore.VersionConflictError](err)
	if ok {
		problem.Detail = fmt.Sprintf("%s is at version %d", at.Stream, at.Actual)
		problem.etag = etag(at.Actual)
	}
	if ok && sent.expected != nil {
		problem.Type, problem.Status = TypePreconditionFailed, http.StatusPreconditionFailed
		problem.Detail += ", not at that of If-Match; look at what there is now and send it again"
	}
	return problem
}

// queryProblem tells a client why its query failed.
func (o Options) queryProblem(err error) error {
	if told := o.theirs(err); told != nil {
		return told
	}
	if told := remoteProblem(err); told != nil {
		return told
	}
	late, isLate := errors.AsType[*query.NotCaughtUpError](err)
	building, isBuilding := errors.AsType[*projection.BuildingError](err)
	parked, isParked := errors.AsType[*projection.ParkedError](err)
	switch {
	case isLate:
		return later(err, TypeNotCaughtUp, fmt.Sprintf("%s has applied position %d and not yet %d; ask again", late.Model, late.At, late.Want.Position))
	case isBuilding:
		return later(err, TypeNotCaughtUp, building.Name+" is being built; ask again")
	case errors.Is(err, projection.ErrNotBuilt): // no worker has begun
		return later(err, TypeNotCaughtUp, "what the answer is read from has not been built yet; ask again")
	case isParked: // whose keys they are is not for every reader
		return caused(err, TypeParked, http.StatusServiceUnavailable, parked.Model+" could not apply an event that the answer must include; it waits for people")
	case errors.Is(err, eventstore.ErrForeignToken):
		return caused(err, TypeForeignToken, http.StatusBadRequest, "a token of Leftfold-After is of a store that this query does not read; leave it out")
	case errors.Is(err, eventstore.ErrDiverged):
		return caused(err, TypeDiverged, http.StatusConflict, "a token of Leftfold-After is of a past life of the store; drop it and read again")
	case errors.Is(err, projection.ErrNotFound):
		return caused(err, TypeNotFound, http.StatusNotFound, "what the query asks for does not exist")
	case isOver(err):
		return caused(err, TypeTimeout, http.StatusGatewayTimeout, "the query took too long")
	}
	return either(err)
}

// theirs is what the user's code makes of the error: the hook, or a problem in it.
func (o Options) theirs(err error) error {
	if o.Problem != nil {
		if told := o.Problem(err); told != nil {
			told := *told
			told.cause = err
			return &told
		}
	}
	if told := problemIn(err); told != nil {
		return told
	}
	return nil
}

// problemIn returns the problem that the error wraps; nil if there is none, or a nil one.
func problemIn(err error) *Problem {
	told, _ := errors.AsType[*Problem](err)
	return told
}

// either is for what may befall commands and queries.
func either(err error) error {
	if invalid, ok := errors.AsType[*eventstore.InvalidError](err); ok {
		return caused(err, TypeInvalid, http.StatusUnprocessableEntity, invalid.Error())
	}
	if limit, ok := errors.AsType[*eventstore.LimitError](err); ok {
		return caused(err, TypeInvalid, http.StatusUnprocessableEntity, limit.Error())
	}
	if errors.Is(err, eventstore.ErrStoreBusy) || errors.Is(err, eventstore.ErrImporting) || errors.Is(err, eventstore.ErrClosed) {
		return later(err, TypeUnavailable, "the server is too busy or is stopping; try again, a command with the same Idempotency-Key")
	}
	return err
}

func later(err error, kind, detail string) *Problem {
	problem := caused(err, kind, http.StatusServiceUnavailable, detail)
	problem.RetryAfter = soon
	return problem
}

// isOver reports whether the time of the request was up, or the client or the server gone.
func isOver(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
