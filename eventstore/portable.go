package eventstore

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"time"
)

// Portable is an optional power of a store: its log can be taken to another store as it is, with
// everything that was recorded. It is for operators; package eventstore/export has the file between the two.
type Portable interface {
	// ReadCommands yields what the store remembers of the commands whose receipts are at or before an event,
	// in the order of their ids; at position 0 no event is needed. The rules of [StreamReader.ReadStream] on errors, memory and
	// held resources apply. A command that is remembered while it reads may be left out, if its
	// append has not returned before. No other may: where the event is not, commands may lack too, so every part of
	// the read comes from a log that has it. Another event there is [ErrDiverged], none
	// [ErrAheadOfLog], or [ErrStoreBusy] where another server may have it.
	ReadCommands(ctx context.Context, through Anchor) iter.Seq2[RememberedCommand, error]

	// BeginImport makes an empty store the one with the id, in a new incarnation, and lets nobody append to
	// it until EndImport: [ErrImporting]. The incarnation is another one than any before, because
	// the store that the log comes from may go on, and the same positions would name other events there.
	// While an import of the same id is under way it changes nothing: that import goes on. It returns the life
	// that all the rest of the import is for. A store that has events or remembers commands is
	// [ErrNotEmpty], and so is one that imports another id.
	//
	// Who had the store open before may have to open it again: until then its appends are refused.
	BeginImport(ctx context.Context, id StoreID) (life Identity, err error)

	// Import adds events and commands as they were recorded, all of them or none. When it returns nil they are
	// durable. The events are those that follow the head, see [CheckImport]; a stream that is there
	// goes on, and one that is deleted does not. The commands are in the order of their ids. A command that is remembered already must be the
	// same in everything, and is passed by. Whatever does not fit is [ErrInvalid]. Without an import
	// under way it is [ErrInvalid] too. In another life than the import's, as of a store that was made anew meanwhile,
	// it is [ErrDiverged] or [ErrForeignToken].
	//
	// The limits that a user has chosen for appends do not apply: what was recorded is kept.
	Import(ctx context.Context, life Identity, events []Recorded, commands []RememberedCommand) error

	// EndImport lets everybody append, if the import is of that life and its log ends at that position. Any
	// other end is [ErrInvalid], and the store stays closed: two may import, one log longer than the other, and
	// the shorter would open half of the longer. Another life is as for Import. When the import has ended
	// already, with at least so many events, it does nothing: an answer may have been lost.
	EndImport(ctx context.Context, end Token) error
}

// RememberedCommand is what a store keeps of a command: its first receipt.
type RememberedCommand struct {
	Command

	// Position and Versions are those of the receipt.
	Position Position
	Versions map[StreamID]Version

	// RecordedAt is when the command was remembered, in UTC with microseconds.
	RecordedAt time.Time
}

// Equal reports whether two remembered commands are the same in everything.
func (c RememberedCommand) Equal(o RememberedCommand) bool {
	return c.Command == o.Command && c.Position == o.Position && maps.Equal(c.Versions, o.Versions) && c.RecordedAt.Equal(o.RecordedAt)
}

// CheckImport is for adapters: it checks what can be known of an import without the streams in the store. The
// events must follow the head without a gap, and each other in every stream, and be like
// events that an append has taken; the commands must be in the order of their ids, at or before the last
// event. It returns the
// version that each stream must be at for its first event. Errors are [InvalidError] and [LimitError].
func CheckImport(head Position, events []Recorded, commands []RememberedCommand) (before map[StreamID]Version, err error) {
	before = map[StreamID]Version{}
	last := map[StreamID]Recorded{}
	for _, e := range events {
		if err := e.checkImport(head + 1); err != nil {
			return nil, fmt.Errorf("event at position %d: %w", e.Position, err)
		}
		head++
		previous, seen := last[e.Stream]
		switch {
		case !seen:
			before[e.Stream] = e.Version - 1
		case previous.Type == TombstoneType:
			return nil, &InvalidError{What: "import", Value: string(e.Stream), Reason: fmt.Sprintf("it has an event at position %d, after it was deleted", e.Position)}
		case e.Version != previous.Version+1:
			return nil, &InvalidError{What: "import", Value: string(e.Stream), Reason: fmt.Sprintf("version %d follows version %d at position %d", e.Version, previous.Version, e.Position)}
		}
		last[e.Stream] = e
	}
	for n, c := range commands {
		if n > 0 && bytes.Compare(commands[n-1].ID[:], c.ID[:]) >= 0 {
			return nil, &InvalidError{What: "import", Value: c.ID.String(), Reason: "its commands are not in the order of their ids"}
		}
		if c.ID.IsZero() || c.Position < 0 || c.Position > head {
			return nil, &InvalidError{What: "import", Value: c.ID.String(), Reason: fmt.Sprintf("a command at position %d, the log ends at %d", c.Position, head)}
		}
	}
	return before, nil
}

// CheckImporting is for adapters: whether an import of the life is under way, in the log of that identity.
func CheckImporting(life, now Identity, importing bool) error {
	if err := now.Check(Token{Identity: life}); err != nil {
		return fmt.Errorf("the store is not the one that the import was begun in; import into it anew: %w", err)
	}
	if !importing {
		return &InvalidError{What: "import", Reason: "none is under way: begin it first, or somebody else has ended it"}
	}
	return nil
}

// CheckImportEnd is for adapters: whether an import ends there, in the log of that head.
func CheckImportEnd(end, now Token, importing bool) error {
	if err := CheckImporting(end.Identity, now.Identity, true); err != nil {
		return err
	}
	if end.Position > now.Position || importing && end.Position != now.Position {
		return &InvalidError{What: "end of an import", Reason: fmt.Sprintf("position %d, and the log is at %d: nobody can append until the longer import has ended; run it again", end.Position, now.Position)}
	}
	return nil
}

// CheckThrough is for adapters: whether the log has the event at the end of a read of commands. There is what it
// has at that position, zero for none.
func CheckThrough(through, there Anchor) error {
	switch {
	case through == there || through.Position == 0:
		return nil
	case there.Position == 0:
		return fmt.Errorf("%w: there is no event at %s", ErrAheadOfLog, through)
	default:
		return fmt.Errorf("%w: %s is wanted, and there is %s", ErrDiverged, through, there)
	}
}

// CommandPages is for adapters that read commands in pages: it yields those of each page, until one is empty. Next
// returns the commands behind an id.
func CommandPages(next func(after CommandID) ([]RememberedCommand, error)) iter.Seq2[RememberedCommand, error] {
	return func(yield func(RememberedCommand, error) bool) {
		for after := (CommandID{}); ; {
			page, err := next(after)
			if err != nil {
				yield(RememberedCommand{}, fmt.Errorf("read the command ids: %w", err))
				return
			}
			for _, c := range page {
				if after = c.ID; !yield(c, nil) {
					return
				}
			}
			if len(page) == 0 {
				return
			}
		}
	}
}

// checkImport holds the event against what an append would have taken.
func (r Recorded) checkImport(at Position) error {
	invalid := func(reason string) error { return &InvalidError{What: "import", Reason: reason} }
	switch {
	case r.Position != at:
		return invalid(fmt.Sprintf("the next position is %d", at))
	case r.Version < 1:
		return invalid("versions start at 1")
	case r.ID.IsZero():
		return invalid("it has no event id")
	case r.SchemaVersion < 1:
		return invalid("schema versions start at 1")
	case r.RecordedAt.IsZero():
		return invalid("it has no time")
	case !r.RecordedAt.Equal(r.RecordedAt.Truncate(time.Microsecond)):
		return invalid("its time has parts of a microsecond")
	}
	if err := r.Stream.Validate(); err != nil {
		return err
	}
	data := r.EventData
	if data.Type == TombstoneType {
		data.Type = "deleted" // a name that an append would take
	}
	return data.validate(Limits{EventBytes: MaxAppendBytes})
}
