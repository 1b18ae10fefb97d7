package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/leftfold/leftfold/saga"
)

// ToService returns a dispatcher of the commands of sagas to the service of the client, where
// [Commands] serves a handler under the command's name. The command's id is its Idempotency-Key: an
// answer that is lost, on the way or with the process, is asked for again and the command is not carried
// out twice. Where the service is, and what is repeated at once, is the business of the client's
// transport, such as package discovery's. See [saga.Routes] for several services.
//
// A refusal ([saga.ErrRefused]) is only what the service itself has decided about this very command.
// Everything else is tried again, and then the instance is stuck: what may pass; what nobody knows;
// and what is wrong with a program or its configuration, not with the command. To undo what was done
// because of a typo would be worse than to wait for people. [saga.ToBus] does the same.
//
//	status           problem                             means
//	200              (a receipt)                         done
//	422              TypeRefused, TypeInvalid            refused
//	422              of a type of yours, or without one  refused
//	409              TypeStreamDeleted                   refused
//	422              TypeKeyReused                       tried again: the key stands for another command
//	409, 412         any other                           tried again
//	401, 403         any                                 tried again: the client may not send it
//	400, 404, 405,   any                                 tried again: the service does not know the
//	413, 415                                             command, or cannot read it
//	408, 429, 5xx    any                                 tried again
//	any, or none     no problem of the service           tried again: a gateway has answered, or nobody
//
// The next attempt rests at least for the answer's Retry-After, see [saga.RetryAfter].
func ToService(client *Client) saga.Dispatcher {
	return saga.DispatcherFunc(func(ctx context.Context, c saga.Command) error {
		_, err := client.Dispatch(ctx, c.Name, c.Payload, c.ID)
		if isRefusal(err) {
			return saga.Refused(err)
		}
		if e, ok := errors.AsType[*RemoteError](err); ok && e.RetryAfter > 0 {
			return saga.RetryAfter(err, e.RetryAfter)
		}
		return err
	})
}

// isRefusal reports whether the service has decided that the command will not be.
func isRefusal(err error) bool {
	e, ok := errors.AsType[*RemoteError](err)
	if !ok || e.Problem == nil {
		return false
	}
	switch e.Problem.Type {
	case TypeRefused, TypeInvalid:
		return e.Status == http.StatusUnprocessableEntity
	case TypeStreamDeleted:
		return e.Status == http.StatusConflict
	case TypeKeyReused:
		return false
	default: // of a handler, or of the hook Options.Problem
		return e.Status == http.StatusUnprocessableEntity
	}
}
