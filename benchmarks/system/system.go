// Package system puts Leftfold, its reference points and other Go event stores behind one
// small interface, each in its own file.
//
// Every adapter takes the path that the library documents for the job and changes
// nothing but poll intervals, which are set to PollInterval where a library's default is
// longer. Every system gets the same events, the same server, TCP and a pool of the same
// size. Where a library must do more than others, such as decode JSON in each read,
// System says so and the results repeat it.
package system

import (
	"context"
	"time"

	"github.com/leftfold/leftfold/eventstore"
)

// PollInterval is how often a live reader that polls asks for new events.
const PollInterval = 10 * time.Millisecond

// DefaultPool is the number of connections that each system may use.
const DefaultPool = 32

// System is one way to store events in PostgreSQL.
type System struct {
	// Name is what the results call it.
	Name string
	// Module is the Go module whose version the results name. Empty: our own code.
	Module string
	// About is the path taken, in one line, and what is particular about it.
	About string
	// Table is where the events are, one a row.
	Table string
	// Decodes is set where reads always decode JSON into Go values. Others leave it to the caller.
	Decodes bool
	// Unchecked is set where appends check no expected version.
	Unchecked bool
	// Pool is the most connections of one process. Default: DefaultPool.
	Pool int

	// Create makes the schema in an empty database.
	Create func(ctx context.Context, url string) error
	// Open connects to a database with the schema.
	Open func(ctx context.Context, url string, pool int) (Store, error)
}

// Peers are the other event stores for Go that build as they are published.
var Peers = []System{Hallgren, Goes, Chronicle, Terraskye, Aneshas, Crablet, Watermill}

// OpenAt connects with the system's own pool size.
func (s System) OpenAt(ctx context.Context, url string) (Store, error) {
	pool := s.Pool
	if pool == 0 {
		pool = DefaultPool
	}
	return s.Open(ctx, url, pool)
}

// Store is an open system. It is safe for concurrent use.
type Store interface {
	// Append adds the events to the stream, durably and all or none. Position is that of the
	// last one in the log, 0 if the store does not tell.
	Append(ctx context.Context, a Append) (position int64, err error)
	// Close gives the connections back.
	Close()
}

// Append is one append. The expected version is known to be right; a system that checks
// versions must check it all the same.
type Append struct {
	Stream   string
	Expected int64 // version of the stream's newest event; 0: it has none
	Events   []Event

	// The rest is asked of systems that have it.
	Tags []eventstore.Tag // of each event
	// OnlyIfNone refuses the append if an event after the position carries all of these tags.
	OnlyIfNone []eventstore.Tag
	After      int64
	Command    eventstore.CommandID
}

// StreamLoader is a store that has streams to load.
type StreamLoader interface {
	// LoadStream reads the stream from its beginning and returns the number of events. Each of
	// them has come to Go as the library's own event value.
	LoadStream(ctx context.Context, stream string) (events int, err error)
}

// LogReader is a store whose log can be read from the beginning to the end.
type LogReader interface {
	// ReadLog reads at least so many events from the beginning and returns how many it read.
	ReadLog(ctx context.Context, events int) (int, error)
}

// Subscriber is a store with a live reader of the whole log.
type Subscriber interface {
	// Subscribe hands the ref of each event to seen, from the beginning, until ctx ends. That
	// is no error.
	Subscribe(ctx context.Context, seen func(ref int64)) error
}
