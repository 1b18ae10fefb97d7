package kinesisstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// DefaultEventBytes is what an event may have of payload and metadata together, unless
// [Options].Limits says otherwise: a record of one such event fits, however it is encoded.
const DefaultEventBytes = 512 << 10

// lookEvery is how often an open store looks whether the stream still keeps partition keys together.
const lookEvery = time.Minute

// Options are the choices of [Open]. The zero value works.
type Options struct {
	// Limits of an append. All of it must fit into one record of the stream besides, which is 1 MiB
	// unless the stream was told otherwise. Default: [DefaultEventBytes].
	Limits eventstore.Limits
}

// Store is an [eventstore.Store] on a stream of Kinesis. It reads from its [Index]; see Append for how it
// writes. It is safe for concurrent use, and several may be open on one stream and index.
type Store struct {
	client API
	index  *Index
	limits eventstore.Limits

	settling time.Duration // see the constant

	mu      sync.Mutex
	closed  bool
	looked  time.Time
	appends sync.WaitGroup // those under way
	end     context.CancelFunc
	ended   context.Context // of appends that Close does not wait for any longer
}

var (
	_ eventstore.Store         = (*Store)(nil)
	_ eventstore.Notifier      = (*Store)(nil)
	_ eventstore.StreamDeleter = (*Store)(nil)
	_ eventstore.Capable       = (*Store)(nil)
)

// Open opens the store of the index's stream. Something must run an [Indexer] on the index, in this process or
// in another: without it every append waits until its context ends.
//
// Errors: [ErrPartitionKeys]; [ErrOtherStream] if there is another stream of that name now;
// [eventstore.ErrTooLarge] if the store of the index takes smaller events only.
func Open(ctx context.Context, client API, index *Index, o Options) (*Store, error) {
	if o.Limits.EventBytes == 0 {
		o.Limits.EventBytes = DefaultEventBytes
	}
	s := &Store{client: client, index: index, limits: o.Limits, settling: settling}
	if err := s.look(ctx); err != nil {
		return nil, err
	}
	if err := s.fits(ctx); err != nil {
		return nil, err
	}
	s.ended, s.end = context.WithCancel(context.WithoutCancel(ctx))
	return s, nil
}

// fits refuses a limit above that of the index's store: an event that is on the stream and not to be taken in would
// halt its shard for good. An append that expects what never is asks for that, and appends nothing.
func (s *Store) fits(ctx context.Context) error {
	largest := eventstore.EventData{
		ID: eventstore.NewEventID(), Type: "largest", SchemaVersion: 1,
		Data: make([]byte, min(s.limits.EventBytes, s.index.stream.recordBytes())),
	}
	_, err := s.index.database.store.Append(ctx, eventstore.AppendRequest{Writes: []eventstore.Write{
		{Stream: "leftfold-largest", Expected: eventstore.Exactly(math.MaxInt64 / 2), Events: []eventstore.EventData{largest}},
	}})
	if errors.Is(err, eventstore.ErrTooLarge) {
		return fmt.Errorf("the store of the index takes less than the events that Options.Limits allow: raise its limits, or lower those: %w", err)
	}
	return nil // anything else is not said of the size
}

// look refuses a stream that is not what it was when the index was made.
func (s *Store) look(ctx context.Context) error {
	now, err := Describe(ctx, s.client, s.index.stream.Name)
	if err == nil {
		err = s.index.stream.same(now)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.looked = time.Now(); changed(err) {
		s.looked = time.Time{} // so every append looks, until it is what it was
	}
	return err
}

// lookAgain looks once in a while: one append does, for all that are under way, because an account may ask a few
// times a second only. A look that fails hinders no append: the next one is due in a minute.
func (s *Store) lookAgain(ctx context.Context) error {
	s.mu.Lock()
	due := time.Since(s.looked) > lookEvery
	if due && !s.looked.IsZero() {
		s.looked = time.Now()
	}
	s.mu.Unlock()
	if !due {
		return nil
	}
	if err := s.look(ctx); changed(err) {
		return err
	}
	return nil
}

// ReadStream implements [eventstore.StreamReader].
func (s *Store) ReadStream(ctx context.Context, stream eventstore.StreamID, in eventstore.StreamRange) iter.Seq2[eventstore.Recorded, error] {
	return s.index.database.store.ReadStream(ctx, stream, in)
}

// ReadLog implements [eventstore.LogReader]. The order of the log is that in which the index has taken
// events in: the order of each stream, and none that another index would have between streams.
func (s *Store) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	inner, err := s.index.database.store.ReadLog(ctx, query)
	if err != nil {
		return nil, err
	}
	read := *inner
	read.Identity = s.index.ours(inner.Identity)
	return eventstore.NewLogRead(read, inner.Events()), nil
}

// Head implements [eventstore.LogReader].
func (s *Store) Head(ctx context.Context) (eventstore.Token, error) { return s.index.head(ctx) }

// WaitAppended implements [eventstore.Notifier], by the wake-up of the index's store.
func (s *Store) WaitAppended(ctx context.Context, beyond eventstore.Position) error {
	return eventstore.WaitAppended(ctx, s.index.database.store, beyond)
}

// LookupCommand implements [eventstore.Appender]. An id that several streams have is answered by the one
// that came first into the index.
func (s *Store) LookupCommand(ctx context.Context, c eventstore.Command) (eventstore.Receipt, bool, error) {
	if c.ID.IsZero() {
		return eventstore.Receipt{}, false, ctx.Err()
	}
	found, known, err := s.index.findCommand(ctx, c.ID)
	if err != nil || !known {
		return eventstore.Receipt{}, false, err
	}
	return s.repeated(ctx, c, found)
}

// repeated returns the receipt of a command that is known.
func (s *Store) repeated(ctx context.Context, c eventstore.Command, first accepted) (eventstore.Receipt, bool, error) {
	if c.Hash.Mismatches(first.hash) {
		return eventstore.Receipt{}, false, eventstore.ErrIdempotencyMismatch
	}
	receipt, err := s.index.receipt(ctx, first)
	receipt.Repeated = true
	return receipt, err == nil, err
}

// excluded are the parts of the port that a shard's order cannot decide: an append is one record, to one
// stream, of at least one event, and the fold never forgets a command id.
var excluded = eventstore.Capabilities{
	Excluded:     []eventstore.Part{eventstore.Conditions, eventstore.SeveralStreams, eventstore.EmptyAppends, eventstore.Pruning, eventstore.Importing},
	CommandScope: eventstore.OneStream,
}

// Capabilities implements [eventstore.Capable].
func (s *Store) Capabilities(ctx context.Context) (eventstore.Capabilities, error) {
	of, err := eventstore.CapabilitiesOf(ctx, s.index.database.store)
	if err != nil {
		return eventstore.Capabilities{}, err
	}
	can := excluded
	can.Wakeups = of.Wakeups
	can.Notes = append([]string{
		"the log is the Kinesis stream " + s.index.stream.ARN + "; what is read is an index of it",
		"an append takes as long as its record needs to come back to the index",
		"an event is recorded when the index takes it in",
	}, of.Notes...)
	return can, nil
}

// Close refuses new appends with [eventstore.ErrClosed] and waits for those under way. If ctx ends first, they are of
// unknown outcome, and Close returns the error of ctx. The index stays open. Closing again does nothing.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		s.appends.Wait()
	}()
	defer s.end()
	select {
	case <-settled:
		return nil
	case <-ctx.Done():
		s.end()
		<-settled
		return ctx.Err()
	}
}

// begin counts an append, and returns its context, which ends with ctx, and when Close gives up.
func (s *Store) begin(ctx context.Context) (context.Context, func(), error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, eventstore.ErrClosed
	}
	s.appends.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ended, cancel)
	return ctx, func() {
		stop()
		cancel()
		s.appends.Done()
	}, nil
}
