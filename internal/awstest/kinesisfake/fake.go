package kinesisfake

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/leftfold/leftfold/internal/awstest/fault"
)

// Options are the options of [New].
type Options struct {
	// Now is the clock. Default: time.Now.
	Now func() time.Time

	// Unlimited takes away what a shard may read and write in a second. Limits on the size of
	// a call stay.
	Unlimited bool

	// Faults says which calls go wrong. Default: none.
	Faults fault.Plan
}

// Fake is a region of Kinesis. Its methods may be called at the same time.
type Fake struct {
	options Options

	mu       sync.Mutex
	streams  map[string]*stream
	sequence int64         // of the newest record or shard
	changed  chan struct{} // closed when a shard has something new
}

// New returns a region without streams.
func New(options Options) *Fake {
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Fake{options: options, streams: map[string]*stream{}, changed: make(chan struct{})}
}

// call runs one operation under the fault that the plan has for it. A lost answer is a lost
// answer only if the act went well.
func call[Out any](ctx context.Context, f *Fake, operation string, act func(now time.Time, kind fault.Kind) (*Out, error)) (*Out, error) {
	kind := f.options.Faults.Next(operation)
	out, err := func() (*Out, error) {
		if err := ctx.Err(); err != nil {
			return nil, &smithy.CanceledError{Err: err}
		}
		switch kind {
		case fault.RequestLost:
			return nil, lost()
		case fault.Throttled:
			return nil, throttled("a planned fault")
		case fault.Internal:
			return nil, internalFailure()
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		now := f.options.Now()
		for _, s := range f.streams {
			s.trim(now)
		}
		out, err := act(now, kind)
		if err == nil && kind == fault.AnswerLost {
			return nil, lost()
		}
		return out, err
	}()
	if err != nil {
		return nil, &smithy.OperationError{ServiceID: "Kinesis", OperationName: operation, Err: err}
	}
	return out, nil
}

// lost is what the SDK says of a connection that broke.
func lost() error { return &smithyhttp.RequestSendError{Err: io.ErrUnexpectedEOF} }

// wake tells the subscriptions that there is something new. The caller holds the lock.
func (f *Fake) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}
