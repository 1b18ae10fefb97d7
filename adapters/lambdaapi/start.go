package lambdaapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

// StartOptions are those of [Start]. The zero value works.
type StartOptions struct {
	// Stop closes what the function uses, stores and pools, when the sandbox ends. Its context ends after
	// 200 ms: a little later Lambda kills the sandbox. Default: nothing.
	Stop func(ctx context.Context) error

	// Drain is how long an invocation under way may take once the sandbox ends. Then its context ends.
	// Lambda leaves about half a second, for Stop too. Default: 250 ms.
	Drain time.Duration

	// Logger gets what goes wrong at the end. Default: slog.Default().
	Logger *slog.Logger
}

// Start runs the function until the sandbox ends. It never returns: on SIGTERM it waits until the
// answer of the invocation under way has been sent, takes no other, calls Stop, and exits with 0, or 1 if Stop
// failed. Lambda sends SIGTERM only to functions that ask for it as this one does. An invocation
// that is cut off all the same has lost nothing: whoever called it calls again, and what it
// had made durable is known.
//
// The function is one of this package's, or any that takes a context and an event and returns an answer.
func Start[E, A any](function func(context.Context, E) (A, error), options StartOptions) {
	if options.Drain == 0 {
		options.Drain = 250 * time.Millisecond
	}
	ctx, end := context.WithCancel(context.Background()) //nolint:gosec // p.stop calls it
	p := &program{options: options, log: loggerOr(options.Logger), end: end}
	lambda.StartWithOptions(counted(p, function), lambda.WithContext(ctx), lambda.WithEnableSIGTERM(p.stop))
}

// program is a function that runs.
type program struct {
	options StartOptions
	log     *slog.Logger
	end     context.CancelFunc // of the invocations' contexts
	running sync.RWMutex       // held by each invocation until its answer has been sent, and for good by stop
}

// counted holds the lock while an invocation is under way.
func counted[E, A any](p *program, function func(context.Context, E) (A, error)) func(context.Context, E) (*reply, error) {
	return func(ctx context.Context, event E) (*reply, error) {
		p.running.RLock()
		value, err := function(ctx, event)
		if err != nil {
			p.running.RUnlock()
			return nil, err
		}
		encoded, err := json.Marshal(value)
		if err != nil {
			p.running.RUnlock()
			return nil, err
		}
		return &reply{rest: encoded, sent: p.running.RUnlock}, nil
	}
}

// stop ends the program.
func (p *program) stop() {
	p.log.Info("stopping")
	cut := time.AfterFunc(p.options.Drain, p.end)
	p.running.Lock() // for good: no other invocation begins
	cut.Stop()
	os.Exit(p.stopped())
}

const farewell = 200 * time.Millisecond

func (p *program) stopped() (code int) {
	if p.options.Stop == nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), farewell)
	defer cancel()
	if err := p.options.Stop(ctx); err != nil {
		p.log.Error("the end was not orderly", "error", err)
		return 1
	}
	return 0
}

// reply is an encoded answer. The library reads it, sends it and then closes it, which is how
// we know that it was sent.
type reply struct {
	rest []byte
	sent func()
}

func (r *reply) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Close says that the answer was sent, or could not be.
func (r *reply) Close() error {
	r.sent()
	return nil
}

// ContentType is what the library sends with it.
func (*reply) ContentType() string { return "application/json" }

// MarshalJSON fails, which makes the library read the reply as it is.
func (*reply) MarshalJSON() ([]byte, error) { return nil, errIsEncoded }

var errIsEncoded = errors.New("a reply is encoded already")
