package postgres

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/groupcommit"
)

// answer is what leftfold.append returned for a batch.
type answer struct {
	declined    bool // nothing was appended, because what leftfold.append_one was given is not plain
	incarnation int32
	fences      int64
	waited      bool                // for another writer
	head        eventstore.Position // before the batch
	versions    []int64             // of the streams of the writes, before the batch; negative: deleted
	skipped     map[int64]bool      // appends, from 1
	repeated    []repeat
	refused     []refusal
	now         time.Time // the recorded_at of the batch; zero: it was not asked for
}

// repeat is an append whose command is known.
type repeat struct {
	Append   int64                                      `json:"append"`
	Position eventstore.Position                        `json:"position"`
	Hash     string                                     `json:"hash"` // as a UUID
	Versions map[eventstore.StreamID]eventstore.Version `json:"versions"`
}

// refusal is an append whose condition does not hold.
type refusal struct {
	Append   int64               `json:"append"`
	Reason   string              `json:"reason"`
	Position eventstore.Position `json:"position"`
}

func (a *answer) scan(row [][]byte) error {
	a.incarnation = readInt4(row[0])
	a.fences = readInt8(row[1])
	a.waited = readBool(row[2])
	a.head = eventstore.Position(readInt8(row[3]))
	var err, failure error
	if a.versions, err = readInts(row[4]); err != nil {
		return err
	}
	skipped, err := readInts(row[5])
	if err != nil {
		return err
	}
	if len(skipped) > 0 {
		a.skipped = map[int64]bool{}
		for _, n := range skipped {
			a.skipped[n] = true
		}
	}
	if row[6] != nil {
		err = json.Unmarshal(row[6], &a.repeated)
	}
	if row[7] != nil {
		failure = json.Unmarshal(row[7], &a.refused)
	}
	if len(row) > 8 {
		a.now = readTime(row[8])
	}
	return errors.Join(err, failure)
}

// scanOne reads the answer of leftfold.append_one to a batch.
func (a *answer) scanOne(row [][]byte, f flight) error {
	if row[0] == nil {
		a.declined = true
		return nil
	}
	a.incarnation = f.before.Incarnation
	a.head = eventstore.Position(readInt8(row[0]) - 1)
	a.versions = []int64{expected(f.appends[0].Request.Writes[0])}
	return nil
}

// outcomes gives each append of the batch its receipt or its refusal, in the order in
// which the port asks for the checks. It returns the head after the batch.
func (a *answer) outcomes(store eventstore.StoreID, appends []*groupcommit.Pending) eventstore.Position {
	identity := eventstore.Identity{Store: store, Incarnation: a.incarnation}
	head, versions := a.head, a.versions
	if err := a.fits(appends); err != nil {
		for _, p := range appends {
			p.Err = err
		}
		return head
	}
	for n, p := range appends {
		number, before := int64(n+1), versions[:len(p.Request.Writes)]
		versions = versions[len(p.Request.Writes):]
		if a.skipped[number] {
			p.Receipt, p.Err = a.refusal(number, identity, p.Request, before)
			continue
		}
		head += eventstore.Position(p.Request.EventCount())
		p.Receipt = eventstore.Receipt{Token: eventstore.Token{Identity: identity, Position: head}, Versions: after(p.Request.Writes, before)}
	}
	return head
}

// fits returns an error if there is not one version for each write. What the server has done
// with the batch is anybody's guess then.
func (a *answer) fits(appends []*groupcommit.Pending) error {
	writes := 0
	for _, p := range appends {
		writes += len(p.Request.Writes)
	}
	if writes != len(a.versions) {
		return fmt.Errorf("%w: postgres: %d versions for %d writes: the function leftfold.append does not fit this program",
			eventstore.ErrOutcomeUnknown, len(a.versions), writes)
	}
	return nil
}

func after(writes []eventstore.Write, before []int64) map[eventstore.StreamID]eventstore.Version {
	versions := make(map[eventstore.StreamID]eventstore.Version, len(writes))
	for n, w := range writes {
		versions[w.Stream] = eventstore.Version(before[n]) + eventstore.Version(len(w.Events))
	}
	return versions
}

func (a *answer) refusal(number int64, identity eventstore.Identity, r eventstore.AppendRequest, before []int64) (eventstore.Receipt, error) {
	for _, known := range a.repeated {
		if known.Append == number {
			return known.receipt(identity, r.Command)
		}
	}
	if err := r.CheckLife(identity); err != nil {
		return eventstore.Receipt{}, err
	}
	for n, w := range r.Writes {
		if err := accepts(w, before[n]); err != nil {
			return eventstore.Receipt{}, err
		}
	}
	for _, refused := range a.refused {
		if refused.Append == number && r.Condition != nil {
			return eventstore.Receipt{}, refused.err(*r.Condition, a.head)
		}
	}
	return eventstore.Receipt{}, fmt.Errorf("postgres: append %d was skipped for no reason: the function leftfold.append does not fit this program", number)
}

// receipt returns the first receipt of the command. Its token carries the identity that
// the store has now: a restored log that has the command has its events too, at the same
// positions, so the caller gets a token that can be waited for.
func (k repeat) receipt(identity eventstore.Identity, c eventstore.Command) (eventstore.Receipt, error) {
	var hash eventstore.CommandHash
	if _, err := hex.Decode(hash[:], []byte(strings.ReplaceAll(k.Hash, "-", ""))); err != nil {
		return eventstore.Receipt{}, fmt.Errorf("read the hash of command %s: %w", c.ID, err)
	}
	if c.Hash.Mismatches(hash) {
		return eventstore.Receipt{}, fmt.Errorf("command %s: %w", c.ID, eventstore.ErrIdempotencyMismatch)
	}
	return eventstore.Receipt{Token: eventstore.Token{Identity: identity, Position: k.Position}, Versions: k.Versions, Repeated: true}, nil
}

// accepts returns nil or why a stream at the version (negative: deleted) refuses the write.
func accepts(w eventstore.Write, version int64) error {
	if version < 0 {
		return fmt.Errorf("append to %s: %w", w.Stream, eventstore.ErrStreamDeleted)
	}
	belief := w.Expected
	if version == 0 && isTombstone(w) && belief.Accepts(0) {
		belief = eventstore.StreamExists // nothing to delete, whatever the caller believes
	}
	if !belief.Accepts(eventstore.Version(version)) {
		return &eventstore.VersionConflictError{Stream: w.Stream, Expected: belief, Actual: eventstore.Version(version)}
	}
	return nil
}

func (r refusal) err(c eventstore.Condition, head eventstore.Position) error {
	switch r.Reason {
	case "ahead":
		return fmt.Errorf("append condition after position %d: %w: the head is %d", c.After, eventstore.ErrAheadOfLog, head)
	case "wide":
		return fmt.Errorf("%w: it looks back %d positions for %s, the limit is %d; add a tag to every item of the query",
			eventstore.ErrConditionTooWide, head-c.After, c.FailIf, eventstore.MaxUntaggedLookback)
	default:
		return &eventstore.ConditionFailedError{Query: c.FailIf, After: c.After, Position: r.Position}
	}
}
