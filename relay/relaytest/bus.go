package relaytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/relay"
)

// Fault is what a bus does wrong with a message.
type Fault string

// The faults. All but the last concern the next time that the message comes; then it is taken.
const (
	// Busy: the bus does not take the message, and says that this may pass.
	Busy Fault = "busy"
	// Throttled: the bus does not take the message, and asks for less.
	Throttled Fault = "throttled"
	// Lost: the request in which the message is does not reach the bus.
	Lost Fault = "lost"
	// AnswerLost: the bus takes what it can of the request in which the message is, and its answer does
	// not reach the publisher.
	AnswerLost Fault = "answer lost"
	// Refused: the bus does not take the message and never will, until it is told [Fine].
	Refused Fault = "refused"
	// Fine is no fault: it takes back those before.
	Fine Fault = ""
)

// Arrival is a message as the bus has it.
type Arrival struct {
	ID      string
	Key     string
	Version eventstore.Version
	Type    string
	Data    string
}

// arrivalOf returns how a message is to arrive.
func arrivalOf(m relay.Message) Arrival {
	return Arrival{m.ID, m.Key, m.Version, m.Type, string(m.Data)}
}

// Bus is a bus in memory and its [relay.Publisher]. The zero value works and has no limits. It takes the
// messages of a key in order, or, with OnePerKey, decides on each message by itself. A request beyond
// its limits fails with [subscription.ErrPermanent].
type Bus struct {
	// Most are its limits. They must not change.
	Most relay.Limits
	// OnRequest is called with each request before anything of it is taken, from several
	// goroutines. An error is that of the request. Default: it is not.
	OnRequest func(ctx context.Context, messages []relay.Message) error

	mu       sync.Mutex
	faults   map[string]Fault
	arrived  []relay.Message
	arrivals []Arrival
	changed  chan struct{}
}

var _ relay.Publisher = (*Bus)(nil)

// Limits implements [relay.Publisher].
func (b *Bus) Limits() relay.Limits { return b.Most }

// Size implements [relay.Publisher]: the bytes of key, type and data.
func (b *Bus) Size(m relay.Message) int { return len(m.Key) + len(m.Type) + len(m.Data) }

// Break has the bus do something wrong with the message of that id.
func (b *Bus) Break(id string, fault Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.faults == nil {
		b.faults = map[string]Fault{}
	}
	b.faults[id] = fault
}

// Arrivals returns what has arrived, in this order, repeats included.
func (b *Bus) Arrivals() []Arrival {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clip(b.arrivals)
}

// Messages returns what has arrived, in this order, repeats included.
func (b *Bus) Messages() []relay.Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clip(b.arrived)
}

// Await waits until so many messages have arrived, repeats included.
func (b *Bus) Await(ctx context.Context, messages int) error {
	for {
		b.mu.Lock()
		if b.changed == nil {
			b.changed = make(chan struct{})
		}
		have, changed := len(b.arrivals), b.changed
		b.mu.Unlock()
		if have >= messages {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d messages have arrived: %w", have, messages, ctx.Err())
		}
	}
}

// Errors of a bus that does wrong.
var (
	errBusy       = errors.New("the bus is busy")
	errBehind     = errors.New("a message of its key before it was not taken")
	errLost       = errors.New("the request was lost")
	errAnswerLost = errors.New("the answer was lost")
	errNever      = errors.New("the bus does not like it")
)

// Publish implements [relay.Publisher].
func (b *Bus) Publish(ctx context.Context, messages []relay.Message) ([]error, error) {
	if b.OnRequest != nil {
		if err := b.OnRequest(ctx, messages); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := b.within(messages); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range messages {
		if b.faults[m.ID] == Lost {
			delete(b.faults, m.ID)
			return nil, errLost
		}
	}
	results, failed, answerLost := make([]error, len(messages)), map[string]bool{}, false
	for n, m := range messages {
		if failed[m.Key] && !b.Most.OnePerKey {
			results[n] = errBehind
			continue
		}
		answerLost = answerLost || b.faults[m.ID] == AnswerLost
		results[n] = b.take(m)
		failed[m.Key] = failed[m.Key] || results[n] != nil
	}
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
	if answerLost {
		return nil, errAnswerLost
	}
	return results, nil
}

// within refuses a request that is beyond the limits, for good: no message of it is to blame.
func (b *Bus) within(messages []relay.Message) error {
	bytes, keys := 0, map[string]bool{}
	for _, m := range messages {
		if size := b.Size(m); b.Most.MessageBytes == 0 || size <= b.Most.MessageBytes { // else it is refused by itself
			bytes += size
		}
		if b.Most.OnePerKey && keys[m.Key] {
			return fmt.Errorf("%w: two messages of key %q in a request", subscription.ErrPermanent, m.Key)
		}
		keys[m.Key] = true
	}
	if most := b.Most.Messages; most > 0 && len(messages) > most {
		return fmt.Errorf("%w: %d messages in a request, %d are allowed", subscription.ErrPermanent, len(messages), most)
	}
	if most := b.Most.Bytes; most > 0 && bytes > most {
		return fmt.Errorf("%w: %d bytes in a request, %d are allowed", subscription.ErrPermanent, bytes, most)
	}
	return nil
}

// take takes one message, if it does not do wrong.
func (b *Bus) take(m relay.Message) error {
	fault := b.faults[m.ID]
	if fault != Refused {
		delete(b.faults, m.ID)
	}
	switch fault {
	case Busy:
		return errBusy
	case Throttled:
		return relay.ErrThrottled
	case Refused:
		return fmt.Errorf("%w: %w", relay.ErrRefused, errNever)
	}
	if most := b.Most.MessageBytes; most > 0 && b.Size(m) > most {
		return fmt.Errorf("%w: %w", relay.ErrRefused, &eventstore.LimitError{What: "message: bytes", Size: b.Size(m), Limit: most})
	}
	b.arrived = append(b.arrived, m)
	b.arrivals = append(b.arrivals, arrivalOf(m))
	return nil
}
