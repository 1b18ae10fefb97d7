package relay

import (
	"context"
	"errors"
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

// Publisher hands messages to a bus. Several goroutines use it at a time, each for other keys.
type Publisher interface {
	// Publish offers the messages to the bus, in their order, as one request. They are within
	// the Limits. It returns one result for each message:
	//
	//   - nil: the bus has taken it and will not lose it. An answer that was lost is not nil.
	//   - an error that matches [ErrRefused]: the bus will never take this message, whatever
	//     the others do. Nothing that may pass is a refusal: an outage, a limit of the rate or a missing
	//     permission would become a dead letter of every key.
	//   - any other error: it was not taken, or nobody knows. It is offered again. One that matches
	//     [ErrThrottled] slows the whole relay down.
	//
	// Unless the Limits say OnePerKey, the messages of a key are taken from the first one on
	// without a gap: behind one that was not taken, none of its key is. The relay offers the
	// first one that failed again, and all of its key behind it, whatever their results were.
	//
	// The error says that nothing is known of any message, and all are offered again. One of
	// [subscription.ErrPermanent] stops the relay until people have mended it; no message
	// is to blame. The error of ctx is such an error.
	//
	// It returns soon after ctx has ended: its keys wait for it, and so does a relay that is to stop.
	// The implementation must neither keep nor change the messages' bytes, and is not called again
	// for a key before it has returned.
	//
	// [subscription.ErrPermanent]: https://pkg.go.dev/github.com/leftfold/leftfold/eventstore/subscription#ErrPermanent
	Publish(ctx context.Context, messages []Message) ([]error, error)

	// Size returns how many bytes of the Limits the message takes up. It is the same each time.
	Size(message Message) int

	// Limits returns what the bus takes in one request. They do not change.
	Limits() Limits
}

// Limits are what a bus takes in one request. A zero field is no limit.
type Limits struct {
	Messages     int // of a request
	Bytes        int // of a request: the sum of [Publisher].Size
	MessageBytes int // of one message. A larger one is refused without being offered

	// OnePerKey is for a bus that decides on each message of a request by itself, or does not keep
	// their order: a request has one message of each key then, and the next one goes when
	// that was taken. Default: a request may have many of a key.
	OnePerKey bool
}

// largest returns the most bytes that one message may have, 0 for any.
func (l Limits) largest() int {
	if l.MessageBytes == 0 || l.Bytes > 0 && l.Bytes < l.MessageBytes {
		return l.Bytes
	}
	return l.MessageBytes
}

// Results of messages, for errors.Is. Wrap them with what the bus says.
var (
	// ErrRefused: the bus will never take this message. It becomes a dead letter.
	ErrRefused = errors.New("message is refused for good")
	// ErrThrottled: the bus asks for less; it did not take this message.
	ErrThrottled = errors.New("bus asks for less")
)

// refusal marks an error as one of the message.
type refusal struct{ cause error }

func (e *refusal) Error() string   { return e.cause.Error() }
func (e *refusal) Unwrap() []error { return []error{ErrRefused, e.cause} }

// tooLarge returns why a message is not offered to the bus at all; nil: it fits.
func (l Limits) tooLarge(m Message, size int) error {
	if most := l.largest(); most > 0 && size > most {
		return &refusal{fmt.Errorf("%w; keep the large part elsewhere and have Translate publish where it is (a claim check)",
			&eventstore.LimitError{What: "message " + m.Type + ": bytes as the bus counts them", Size: size, Limit: most})}
	}
	return nil
}
