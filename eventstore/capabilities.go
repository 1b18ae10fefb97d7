package eventstore

import (
	"context"
	"slices"
)

// Capable is an optional power of a store: it says what it can do, and how it is doing.
type Capable interface {
	// Capabilities returns what holds now: a standby that is promoted takes appends from
	// then on. Ask it for a status page, not before every append.
	Capabilities(ctx context.Context) (Capabilities, error)
}

// Capabilities are what a store can do. The zero value is a store with the whole contract
// that takes appends, keeps what it acknowledges, and is polled for new events.
type Capabilities struct {
	// Excluded are the parts of the contract that the store does not have. Their use is
	// [ErrUnsupported] and changes nothing.
	Excluded []Part

	// CommandScope is how far a command id is known. Default: [WholeStore].
	CommandScope CommandScope

	// Wakeups is how readers learn of new events. A store that is no [Notifier] is polled.
	// Default: [Polled].
	Wakeups Wakeups

	// ReadOnly: the store takes no appends now, as a standby. Default: it takes them.
	ReadOnly bool

	// Volatile: a crash may lose appends that were acknowledged. Default: they are durable.
	Volatile bool

	// Notes are what an operator wants to know besides, a sentence each. Default: none.
	Notes []string
}

// Part is a part of the contract that a store may exclude. It reads well in a message.
type Part string

// The parts that may be excluded; the rest of the contract is for every store.
const (
	Conditions     Part = "append conditions"
	SeveralStreams Part = "appends that name several streams"
	EmptyAppends   Part = "appends without events"
	Deletion       Part = "deletion of streams"    // of a store that is no StreamDeleter, too
	Pruning        Part = "pruning of command ids" // of a store that is no CommandPruner, too
	Importing      Part = "imports of logs"        // of a store that is not Portable, too
)

// CommandScope is how far a command id is known.
type CommandScope string

const (
	// WholeStore lets an id stand for one append to the store.
	WholeStore CommandScope = ""
	// OneStream lets an id stand for one append to each stream.
	OneStream CommandScope = "one stream"
)

// Wakeups is how readers learn of new events.
type Wakeups string

const (
	// Polled leaves it to those who wait to ask for the head, by themselves or by
	// [WaitAppended].
	Polled Wakeups = ""
	// Pushed is told by the server, to every process.
	Pushed Wakeups = "pushed"
	// InProcess is for a store of one process, whose own appends wake it.
	InProcess Wakeups = "in process"
)

// Excludes reports whether the store does not have the part.
func (c Capabilities) Excludes(part Part) bool { return slices.Contains(c.Excluded, part) }

// Check is for adapters: it returns an [UnsupportedError] if the append needs a part that is
// excluded.
func (c Capabilities) Check(r AppendRequest) error {
	switch {
	case r.Condition != nil && c.Excludes(Conditions):
		return &UnsupportedError{Part: Conditions}
	case len(r.Writes) > 1 && c.Excludes(SeveralStreams):
		return &UnsupportedError{Part: SeveralStreams}
	case r.EventCount() == 0 && c.Excludes(EmptyAppends):
		return &UnsupportedError{Part: EmptyAppends}
	}
	return nil
}

// CapabilitiesOf asks the store what it can do. One that does not say has the whole contract,
// without deletion unless it is a [StreamDeleter], without pruning unless it is a
// [CommandPruner], and without imports unless it is [Portable].
func CapabilitiesOf(ctx context.Context, store Appender) (Capabilities, error) {
	if c, ok := store.(Capable); ok {
		return c.Capabilities(ctx)
	}
	var can Capabilities
	if _, ok := store.(StreamDeleter); !ok {
		can.Excluded = append(can.Excluded, Deletion)
	}
	if _, ok := store.(CommandPruner); !ok {
		can.Excluded = append(can.Excluded, Pruning)
	}
	if _, ok := store.(Portable); !ok {
		can.Excluded = append(can.Excluded, Importing)
	}
	return can, nil
}
