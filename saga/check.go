package saga

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/leftfold/leftfold/eventstore"
)

// CheckReport is what [Type.Check] has found.
type CheckReport struct {
	Instances int // that have begun
	Live      int // of them that have not ended: those that were checked
	Decisions int // that were made again
	Diverged  []Divergence
}

// Divergence is a decision of an instance that this build would not have made.
type Divergence struct {
	Instance string
	// Told is what the instance was told.
	Told Entry
	// Recorded is what it decided, Decides what this build would decide.
	Recorded, Decides []Entry
	// Err is why this build cannot decide at all.
	Err error
}

// String says what diverged, for people.
func (d Divergence) String() string {
	if d.Err != nil {
		return fmt.Sprintf("instance %s at version %d, told %q: this build cannot decide: %v", d.Instance, d.Told.Version, d.Told, d.Err)
	}
	return fmt.Sprintf("instance %s at version %d, told %q: it decided %q, this build decides %q", d.Instance, d.Told.Version, d.Told, d.Recorded, d.Decides)
}

// Check makes all decisions of the live instances again with this build, each on what the instance
// knew at the time, and reports where it would decide otherwise: another command, another timer,
// another step. Nothing is written or dispatched. Run it before a deploy, with the new program on the
// store of the old one: an instance that diverges was begun by other rules, and what it does next may
// not fit what it has done. An event that today's rules would tell another instance, and a record that this
// build cannot read, are divergences too. Of each instance the first one is reported.
func (t *Type[S]) Check(ctx context.Context, store Store) (CheckReport, error) {
	var report CheckReport
	read, err := store.ReadLog(ctx, eventstore.LogQuery{Query: eventstore.Types(observedType)})
	if err != nil {
		return report, fmt.Errorf("read the log: %w", err)
	}
	for m, err := range read.Events() {
		if err != nil {
			return report, fmt.Errorf("read the log: %w", err)
		}
		if m.Stream.Category() != t.name || m.Version != 1 {
			continue
		}
		report.Instances++
		if err := t.checkOne(ctx, store, m.Stream, &report); err != nil {
			return report, err
		}
	}
	return report, nil
}

func (t *Type[S]) checkOne(ctx context.Context, store eventstore.StreamReader, stream eventstore.StreamID, report *CheckReport) error {
	all, versions, err := recordsOf(ctx, store, stream)
	unread, is := errors.AsType[*unreadable](err)
	switch {
	case errors.Is(err, eventstore.ErrStreamDeleted):
		return nil
	case is:
		report.Live++
		told := Entry{Kind: unread.event.Type, Version: unread.event.Version, RecordedAt: unread.event.RecordedAt}
		report.Diverged = append(report.Diverged, Divergence{Instance: stream.ID(), Told: told, Err: unread.err})
		return nil
	case err != nil:
		return err
	}
	if slices.ContainsFunc(all, func(r record) bool { _, is := r.(ended); return is }) {
		return nil
	}
	report.Live++
	var in instance[S]
	for from := 0; from < len(all); {
		to := from + 1
		for to < len(all) && !isTold(all[to]) {
			to++
		}
		report.Decisions++
		if d := t.again(stream, &in, all[from:to]); d != nil {
			d.Instance, d.Told.Version = stream.ID(), versions[from]
			report.Diverged = append(report.Diverged, *d)
			return nil
		}
		from = to
	}
	return nil
}

// again makes a decision again, and returns nil if it is the one that was recorded. The instance is then
// what the decision has made of it.
func (t *Type[S]) again(stream eventstore.StreamID, in *instance[S], recorded []record) (d *Divergence) {
	diverged := func(decides []record, err error) *Divergence {
		return &Divergence{Told: entries(recorded[:1])[0], Recorded: entries(recorded[1:]), Decides: entries(decides), Err: err}
	}
	var err error
	defer func() {
		if err != nil {
			d = diverged(nil, err)
		}
	}()
	defer recoverAsPoison(&err)
	if o, is := recorded[0].(observed); is {
		if err = t.isOf(stream, o); err != nil {
			return nil
		}
	}
	made, err := t.decision(stream, *in, recorded[0])
	if err == nil {
		err = made.broken
	}
	if err != nil {
		return nil
	}
	decided := made.records
	if len(decided) != len(recorded) {
		return diverged(decided[1:], nil)
	}
	for n := range decided {
		if !sameRecord(decided[n], recorded[n]) {
			return diverged(decided[1:], nil)
		}
	}
	*in = made.instance
	return nil
}

// isOf returns an error unless today's rules tell the event to the instance. What no rule speaks of any more
// is told nobody, and what was told stands.
func (t *Type[S]) isOf(stream eventstore.StreamID, o observed) error {
	m := o.event()
	values, err := t.events.Decode(m)
	if err != nil {
		return err
	}
	for _, value := range values {
		rule := t.rules[typeOf(value)]
		if rule == nil {
			continue
		}
		id := rule.id(value, &m)
		if t.react != nil && o.Part > 0 {
			id = o.key()
		}
		if id != stream.ID() {
			return fmt.Errorf("the rule of %v says that the event is of instance %q", rule.event, id)
		}
	}
	return nil
}

// unreadable is an error about a record that does not decode.
type unreadable struct {
	event eventstore.Recorded
	err   error
}

func (u *unreadable) Error() string { return u.err.Error() }
func (u *unreadable) Unwrap() error { return u.err }

func entries(all []record) []Entry {
	named := make([]Entry, len(all))
	for n, r := range all {
		named[n] = entryOf(r)
		data, err := records.Encode(r)
		if err == nil {
			named[n].Kind = data.Type
		}
	}
	return named
}

func recordsOf(ctx context.Context, store eventstore.StreamReader, stream eventstore.StreamID) (all []record, versions []eventstore.Version, err error) {
	for m, err := range store.ReadStream(ctx, stream, eventstore.StreamRange{}) {
		if err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", stream, err)
		}
		values, err := records.Decode(m)
		if err != nil {
			return nil, nil, &unreadable{m, err}
		}
		for _, value := range values {
			all, versions = append(all, value), append(versions, m.Version)
		}
	}
	return all, versions, nil
}

func isTold(r record) bool {
	_, told := toldAt(r)
	return told
}

// sameRecord compares records by what their JSON says: the order of a command's fields does not matter.
func sameRecord(a, b record) bool {
	if reflect.TypeOf(a) != reflect.TypeOf(b) {
		return false
	}
	first, errFirst := plain(a)
	second, errSecond := plain(b)
	return errFirst == nil && errSecond == nil && reflect.DeepEqual(first, second)
}

func plain(r record) (value any, err error) {
	if c, ok := r.(commandRequested); ok && c.Attempt > 1 {
		c.Payload = nil // it is the first attempt's; earlier builds recorded it with each
		r = c
	}
	encoded, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}
