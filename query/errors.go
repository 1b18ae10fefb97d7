package query

import (
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

// ErrUnknownAge says that [MaxStale] is asked for where nobody can tell how old the answer is: the
// bus knows the head of no log, or not of one that the answer is read from, or no reader has said
// what its answer includes. See [Bus.Follow].
var ErrUnknownAge = errors.New("how old the answer would be is not known")

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
