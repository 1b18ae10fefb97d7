package memory

import (
	"context"
	"sync"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// Store is an [eventstore.Store] in memory. It can also wake readers
// ([eventstore.Notifier]), delete streams ([eventstore.StreamDeleter]), forget command ids
// ([eventstore.CommandPruner]) and be exported and imported ([eventstore.Portable]). It is safe for concurrent use.
type Store struct {
	limits eventstore.Limits
	now    func() time.Time

	// mu makes an append one atomic step. Readers hold it only to copy slice headers:
	// what is stored is never changed, and appends write behind every copied length,
	// so a reader may walk its copy while others append.
	mu        sync.RWMutex
	identity  eventstore.Identity // an import changes it
	closed    bool
	importing bool
	log       []eventstore.Recorded // the event at position p is log[p-1]
	streams   map[eventstore.StreamID]stream
	tagged    map[eventstore.Tag][]eventstore.Position
	commands  map[eventstore.CommandID]outcome
	appended  chan struct{} // closed, and replaced, when the log has grown
}

// stream is the index of one stream.
type stream struct {
	positions []eventstore.Position // the event of version v stands at positions[v-1]
	deleted   bool
}

func (s stream) version() eventstore.Version { return eventstore.Version(len(s.positions)) }

// outcome is what a command id stands for.
type outcome struct {
	hash       eventstore.CommandHash
	receipt    eventstore.Receipt
	recordedAt time.Time
}

// StoreOptions are the choices of [NewStoreWith].
type StoreOptions struct {
	// Limits of an append. Default: those of package eventstore.
	Limits eventstore.Limits
	// Now gives RecordedAt. Default: time.Now.
	Now func() time.Time
}

// NewStore returns an empty store with an identity of its own.
func NewStore() *Store { return NewStoreWith(StoreOptions{}) }

// NewStoreWith is [NewStore] with options.
func NewStoreWith(o StoreOptions) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{
		identity: eventstore.Identity{Store: eventstore.NewStoreID(), Incarnation: 1},
		limits:   o.Limits,
		now:      o.Now,
		streams:  map[eventstore.StreamID]stream{},
		tagged:   map[eventstore.Tag][]eventstore.Position{},
		commands: map[eventstore.CommandID]outcome{},
		appended: make(chan struct{}),
	}
}

// Close refuses later appends with [eventstore.ErrClosed]. What was appended can
// still be read. It never fails.
func (s *Store) Close(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// Capabilities implements [eventstore.Capable].
func (s *Store) Capabilities(ctx context.Context) (eventstore.Capabilities, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return eventstore.Capabilities{
		Wakeups:  eventstore.InProcess,
		ReadOnly: s.closed,
		Volatile: true,
		Notes:    []string{"events are kept until the process ends"},
	}, ctx.Err()
}

// Head implements [eventstore.LogReader].
func (s *Store) Head(ctx context.Context) (eventstore.Token, error) {
	if err := ctx.Err(); err != nil {
		return eventstore.Token{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.token(), nil
}

// WaitAppended implements [eventstore.Notifier].
func (s *Store) WaitAppended(ctx context.Context, beyond eventstore.Position) error {
	for {
		head, appended := s.awaitable()
		if head > beyond {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-appended:
		}
	}
}

// awaitable returns the head and the channel that will be closed when it has moved.
// Both under one lock: an append between the two would be slept through.
func (s *Store) awaitable() (eventstore.Position, <-chan struct{}) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.head(), s.appended
}

func (s *Store) head() eventstore.Position { return eventstore.Position(len(s.log)) }

func (s *Store) token() eventstore.Token {
	return eventstore.Token{Identity: s.identity, Position: s.head()}
}
