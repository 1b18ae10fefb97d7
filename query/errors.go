package query

import (
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

// NotCaughtUpError says that a read model did not apply the required position in
// time. It matches the error of the context, such as context.DeadlineExceeded.
type NotCaughtUpError struct {
	// Model is the projection's name.
	Model string
	// At is the position it had applied when last seen; 0 if it has not started.
	At eventstore.Position
	// Want is the token that was required.
	Want eventstore.Token
	// Err is context.DeadlineExceeded if the time was up, context.Canceled if the caller left.
	Err error
}

func (e *NotCaughtUpError) Error() string {
	return fmt.Sprintf("%s has applied position %d and not yet %d: %v; is its projection running?", e.Model, e.At, e.Want.Position, e.Err)
}

// Unwrap returns the error of the context.
func (e *NotCaughtUpError) Unwrap() error { return e.Err }
