package projection

import (
	"context"
	"errors"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// Checkpoints is what every sink keeps: how far each read model has come.
type Checkpoints interface {
	Generations

	// Open makes the sink ready for the model and for a checkpoint of the source store.
	// It creates what does not exist, with one segment at position 0, and leaves
	// everything else as it is. The first generation of a name is live at once; later ones are
	// [Building] until they are promoted. The same generation with another hash is
	// [ErrDefinitionChanged]: its rows were made by other rules. A generation that is not there
	// and is older than the live one is [ErrOutdated]: it was retired. One that a store applies
	// inline follows that store alone: another source is [ErrInline].
	Open(ctx context.Context, model Model, source eventstore.Identity) error

	// Checkpoint returns how far the generation has applied the source's log: the lowest of
	// the checkpoints of its segments. A generation that was never opened here has the zero
	// checkpoint; one that was opened for other sources only gives [eventstore.ErrForeignToken].
	Checkpoint(ctx context.Context, of Generation, source eventstore.StoreID) (subscription.Checkpoint, error)

	// Parked returns the keys of the generation that are parked, by key.
	Parked(ctx context.Context, of Generation, source eventstore.StoreID) ([]Parked, error)

	// Leases returns the leases of the generation's segments for one source.
	Leases(of Generation, source eventstore.StoreID) subscription.Leases

	// Changed returns a channel that is closed at the next commit made through this
	// sink, or nil if the sink cannot tell. Once it is closed, Checkpoint and reads see that commit.
	Changed() <-chan struct{}
}

// Move is the step of a checkpoint that a commit makes. Both ends are of one source and of
// one segment.
type Move struct {
	From, To subscription.Checkpoint

	// Park are keys to park, Unpark parked ones to take up again. With either of them To.Parks
	// is one higher than From.Parks, and so it is if rows are written at one position; else it
	// is the same.
	Park   []Parked
	Unpark []string
}

// Parked is a key that is left alone, from the event on at which its row could not be made.
// The other keys go on. The row stays as it was before that event.
type Parked struct {
	Key   string
	Event eventstore.Anchor // the first one that is not applied
	Type  string            // the event's
	Cause string
	At    time.Time
}

// Sink is where Views write and readers read.
//
// Load and Commit are two calls, and no transaction spans them. That is safe, and
// the reason why the same contract fits a SQL transaction and a Redis script:
// Commit's compare-and-set succeeds only if nobody has moved the checkpoint since
// it was read, and rows change only together with the checkpoint, so rows that were
// loaded in between are still what they were.
type Sink interface {
	Checkpoints
	Readable

	// Load returns the rows that exist among the keys, in any order. The caller owns what
	// it returns. A generation that was never opened is [ErrNotBuilt], here and in List.
	Load(ctx context.Context, model Model, keys []string) ([]Row, error)

	// Commit writes the changes and moves the checkpoint, both or neither, durably. It
	// answers [subscription.ErrStale], with nothing changed, unless the stored checkpoint
	// of From's segment has the position, anchor, source, fence and parks of From. Any other error
	// may leave the outcome unknown; the caller reads the checkpoint to find out. Keys are distinct.
	// The sink must not keep the changes after it returns.
	Commit(ctx context.Context, model Model, move Move, changes []Change) error

	// List returns up to query.Limit rows in the order asked for. The order is by
	// the column's value, then by key, both as bytes for text; by key if By is empty.
	List(ctx context.Context, model Model, query ListQuery) ([]Row, error)
}

// TxSink is a sink whose transactions a [Handler] can write in.
type TxSink[Tx any] interface {
	Checkpoints

	// Transact runs apply in a transaction that also makes the move, and commits both or
	// neither, durably. It answers as [Sink].Commit does. An error of apply rolls back and comes
	// back as it is.
	Transact(ctx context.Context, of Generation, move Move, apply func(ctx context.Context, tx Tx) error) error

	// Restart opens the model, if it is not there, puts it at position 0 as Reset does, makes it
	// live, removes every other generation of its name, attended or not, and runs empty: all in
	// one transaction. Another hash than before is no error: nothing is left of what the old rules
	// made.
	Restart(ctx context.Context, model Model, source eventstore.Identity, empty func(ctx context.Context, tx Tx) error) error
}

// ListQuery selects rows of a view in an order.
type ListQuery struct {
	// By is a column among the view's indexes. Default: the key.
	By string
	// Descending turns the order around, of equal values too.
	Descending bool
	// After starts behind a row, see [Page].Next. Default: nil, at the first row.
	After *Cursor
	// Limit is the most rows to return. Default of a [Reader]: 100; a sink is always given one.
	Limit int
}

// Cursor is a place in an ordered list: behind the row with the value and key.
// Value is nil if the order is by key, else of the Go type that [Model] gives for the column.
type Cursor struct {
	Value any
	Key   string
}

// Errors of sinks, for errors.Is.
var (
	// ErrDefinitionChanged: raise the version of the view so that it is built anew.
	ErrDefinitionChanged = errors.New("definition changed without a new version")
	// ErrNotBuilt: the sink has no such read model; run its projection first.
	ErrNotBuilt = errors.New("read model has not been built in this sink")
	// ErrNotFound: there is no row with the key.
	ErrNotFound = errors.New("no such row")
)
