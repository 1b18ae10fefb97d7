package relay

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// Relay publishes the events of a log. Fill it in and call Run, in as many processes as you like:
// they share the work by key, and replace one that dies within TTL. The fields must not change
// after the first call; every method may be called from any process that has the same ones.
type Relay struct {
	// Name is a lower-case letter, then letters, digits or _, at most 48 in all. It is part of
	// every message's id, and the sink keeps the checkpoint under it: no read model there may have it.
	// Required.
	Name string
	// Log is what to publish. Required.
	Log eventstore.LogReader
	// Sink keeps checkpoint, leases and dead letters: any sink of read models, with the
	// durability that it has. Required.
	Sink projection.Sink
	// Publisher is where to. Required to publish.
	Publisher Publisher

	// Query selects the events, by the types under which they are stored, and by tags. Another
	// query begins where the checkpoint is: it publishes nothing of what was passed by.
	// Default: every event.
	Query eventstore.Query
	// Key names what an event is about: order holds among the messages of one key, and a dead letter
	// stops one key. It is pure, and a key is UTF-8 without NUL. Workers may be at
	// different places with different keys, so another function is another relay and needs
	// another Name. Default: the stream.
	Key func(event eventstore.Recorded) string
	// Translate makes of an event what others shall see of it. The message is the event's own; Translate
	// may change Type, SchemaVersion, Tags, Data and Metadata, but not the bytes that they share with the
	// event. With false nothing is published. An error, or a panic, makes the event a dead
	// letter. It must be pure: a repeat that says something else is no repeat. Default: as it is.
	Translate func(message *Message, event eventstore.Recorded) (publish bool, err error)

	// Segments is how many workers can share the relay, see [subscription.Worker]. Default: 1.
	Segments int
	// TTL is how long a lease lasts. Default: 10 s.
	TTL time.Duration
	// Window is the most positions of the log to publish between two moves of the checkpoint: what
	// a crash repeats at most, with each segment. A window of large events ends early, at 16 MiB. Default: 500.
	Window int
	// Requests is how many are under way at a time for each segment, each with other keys. Default: 4.
	Requests int
	// Timeout is how long a request may take; then its outcome is unknown. Default: 30 s.
	Timeout time.Duration
	// Tries is how often a message may be refused, though that may pass, before it is a dead
	// letter. Failures of whole requests and throttling do not count: while the bus is away, no key is
	// to blame. Default: 0, it is offered for as long as it takes, and holds up the window that it is in.
	Tries int
	// MaxParked is how many keys of a segment may have a dead letter. With more, the relay is
	// wrong or the bus is, not some of the messages, and the segment stops. Negative: none.
	// Default: 100.
	MaxParked int

	// OnError is called with what keeps the relay as a whole from its work; it tries again.
	// OnReport is called when a segment fails, waits or goes on; OnProgress after each window. They are
	// called from several goroutines, which they hold up. Default: nobody is told.
	OnError    func(error)
	OnReport   func(subscription.Report)
	OnProgress func(subscription.Progress)
}

// The defaults of a [Relay].
const (
	defaultWindow    = 500
	defaultRequests  = 4
	defaultTimeout   = 30 * time.Second
	defaultMaxParked = 100
)

// Generation returns under which name and version the sink keeps the relay: with it
// [projection.StatusOf], [projection.Pause] and [projection.Resume] work as for a read model. A paused
// relay publishes nothing more than what was under way.
func (r Relay) Generation() projection.Generation {
	return projection.Generation{Name: r.Name, Version: 1}
}

// model is how the sink knows the relay. The hash has what must not change; what is selected and
// how it is translated may.
func (r Relay) model() projection.Model {
	keyed := "by stream"
	if r.Key != nil {
		keyed = "by key"
	}
	hash := sha256.Sum256([]byte("relay " + keyed))
	return projection.Model{Generation: r.Generation(), Hash: hex.EncodeToString(hash[:16])}
}

func (r Relay) check() error {
	switch {
	case r.Name == "" || r.Log == nil || r.Sink == nil:
		return errors.New("relay.Relay: Name, Log and Sink are required")
	case r.Segments < 0 || r.Segments > eventstore.Slices:
		return fmt.Errorf("relay.Relay: %d segments: want 1 to %d", r.Segments, eventstore.Slices)
	}
	if err := r.Query.Validate(); err != nil {
		return fmt.Errorf("relay.Relay: %w", err)
	}
	return r.Generation().Validate()
}

func (r Relay) checkPublishes() error {
	if r.Publisher == nil {
		return errors.New("relay.Relay: Publisher is required to publish")
	}
	return r.check()
}

// Run publishes, past and future events, until ctx ends; then it gives its segments back and
// returns nil. A log or a sink that is away is waited for. It returns only what a deploy has to
// mend: a field that is wrong, a name that something else has in the sink ([projection.ErrDefinitionChanged]).
// A segment that fails for good waits for people, see [Relay.Status]: its cause mended, Pause and Resume
// have it go on.
func (r Relay) Run(ctx context.Context) error {
	if err := r.checkPublishes(); err != nil {
		return err
	}
	source, err := r.openInTime(ctx)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the end of ctx is how Run is told to stop
	}
	if err != nil {
		return err
	}
	worker := &subscription.Worker{
		Name: r.String(), ID: subscription.NewWorkerID(hostName()), Log: r.Log, Query: r.Query,
		Leases: r.Sink.Leases(r.Generation(), source), Segments: r.Segments, TTL: r.TTL,
		Target:  func(segment subscription.Segment) subscription.Target { return r.target(segment) },
		Options: r.options(),
		OnError: r.OnError, OnReport: r.OnReport,
	}
	return worker.Run(ctx)
}

// CatchUp publishes up to the head of the log at the time of the call and returns: for a program
// that runs now and then. It takes no lease. Beside another CatchUp or a Run, messages repeat. It works
// as long as the relay was never divided into Segments. An error is one of the log, the sink or the
// bus that did not pass, or that of ctx.
func (r Relay) CatchUp(ctx context.Context) error {
	if err := r.checkPublishes(); err != nil {
		return err
	}
	if _, err := r.open(ctx); err != nil {
		return err
	}
	return subscription.New(r.String(), r.Log, r.Query, r.target(subscription.Whole), r.options()).CatchUp(ctx)
}

func (r Relay) options() subscription.Options {
	return subscription.Options{Window: cmp.Or(r.Window, defaultWindow), OnProgress: r.OnProgress}
}

// open makes the sink ready.
func (r Relay) open(ctx context.Context) (eventstore.StoreID, error) {
	head, err := r.Log.Head(ctx)
	if err != nil {
		return head.Store, fmt.Errorf("%s: read the head: %w", r, err)
	}
	if err := r.Sink.Open(ctx, r.model(), head.Identity); err != nil {
		return head.Store, fmt.Errorf("%s: open the sink: %w", r, err)
	}
	return head.Store, nil
}

// The pauses between two tries to open the sink.
const (
	firstPause = 200 * time.Millisecond
	maxPause   = 5 * time.Second
)

// openInTime opens the sink as soon as that is possible.
func (r Relay) openInTime(ctx context.Context) (eventstore.StoreID, error) {
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		source, err := r.open(ctx)
		switch {
		case err == nil, ctx.Err() != nil, errors.Is(err, projection.ErrDefinitionChanged), errors.Is(err, projection.ErrOutdated), errors.Is(err, subscription.ErrPermanent):
			return source, err
		}
		if r.OnError != nil {
			r.OnError(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// String returns the relay's name, for errors.
func (r Relay) String() string { return "relay " + r.Name }

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "worker" // the rest of the id tells it from others
	}
	return name
}

// recovered is for defer: a panic of somebody else's code becomes an error.
func recovered(what string, err *error) {
	switch p := recover().(type) {
	case nil:
	case error:
		*err = fmt.Errorf("%s panicked: %w", what, p)
	default:
		*err = fmt.Errorf("%s panicked: %v", what, p)
	}
}
