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
// A refusal ([saga.ErrRefused]) is only what the service itself has decided about this very command:
// [TypeRefused], [TypeInvalid], [TypeStreamDeleted], and a problem of a type of yours with status 422.
// Everything else is tried again, and then the instance is stuck: what may pass; what nobody knows;
// and what is wrong with a program or its configuration, not with the command. Of the latter are an
// unknown name, an address at which something else answers, a body that the service cannot read or
// that is too large for it, a client that may not send it (401, 403), and a key that stands for
// another command. To undo what was done because of a typo would be worse than to wait for people.
func ToService(client *Client) saga.Dispatcher {
	return saga.DispatcherFunc(func(ctx context.Context, c saga.Command) error {
		_, err := client.Dispatch(ctx, c.Name, c.Payload, c.ID)
		if isRefusal(err) {
			return saga.Refused(err)
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
