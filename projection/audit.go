package projection

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// AuditOptions are the choices of [Audit]. The zero value works.
type AuditOptions struct {
	// Keys are the keys to look at. Default: a sample.
	Keys []string
	// Sample is how many events and rows to take keys from, by chance: about that many keys. Of
	// a log that is not much longer all keys are looked at. Default: 100.
	Sample int
	// Repair writes the rows that differ as the log has them. Default: they stay as they are.
	Repair bool
}

// AuditReport is what [Audit] has found.
type AuditReport struct {
	// Keys were looked at, Parked left out: a parked row is behind on purpose.
	Keys, Parked []string
	// Differences are the rows that are not what the log says.
	Differences []Difference
	// Repaired are the keys whose rows were written anew.
	Repaired []string
}

// Difference is a row that is not what the log says.
type Difference struct {
	Key string
	// Stored and Want are the row as it is and as it should be; nil: there is none.
	Stored, Want map[string]any
	// Columns are those that differ.
	Columns []string
	// Err is why the log says nothing: the key's events cannot be folded.
	Err error
}

func (d Difference) String() string {
	switch {
	case d.Err != nil:
		return fmt.Sprintf("row %q cannot be folded again: %v", d.Key, d.Err)
	case d.Want == nil:
		return fmt.Sprintf("row %q should not be there", d.Key)
	case d.Stored == nil:
		return fmt.Sprintf("row %q is missing", d.Key)
	}
	var columns []string
	for _, name := range d.Columns {
		columns = append(columns, fmt.Sprintf("%s is %v, not %v", name, d.Stored[name], d.Want[name]))
	}
	return fmt.Sprintf("row %q: %s", d.Key, strings.Join(columns, ", "))
}

// DriftError is why a generation that was rebuilt does not become live: some of its rows are not
// what a second fold of the log gives. A fold that is not pure does that (one that looks at the
// clock, at other rows, at a map's order), and so does a row that somebody else has written.
type DriftError struct {
	Of          Generation
	Differences []Difference
}

func (e *DriftError) Error() string {
	return fmt.Sprintf("%s: %d rows are not what the log says, among them: %s; mend the fold, and raise the version or retire this one",
		e.Of, len(e.Differences), e.Differences[0])
}

// Audit folds sampled keys once more from the log, by code that shares as little as may be with
// that of the workers, and compares the result with the rows that the sink has. It reads the log
// from its beginning, and decodes the events of the sampled keys; where rules have keys of their
// own, all events of those types. Workers may go on meanwhile: a row that moves is compared with
// all that it may have been.
//
// With Repair it writes rows that differ anew, each at the checkpoint of its segment,
// so that a worker which has loaded the wrong one begins its window again.
//
// Of a view of several stores it looks at the rows that this log has events of.
func Audit[R any](ctx context.Context, log eventstore.LogReader, events *codec.Set, sink Sink, view *View[R], o AuditOptions) (AuditReport, error) {
	report, err := audited(ctx, log, events, sink, view, o)
	if err != nil {
		return report, fmt.Errorf("audit %s: %w", view.generation, err)
	}
	return report, nil
}

func audited[R any](ctx context.Context, log eventstore.LogReader, events *codec.Set, sink Sink, view *View[R], o AuditOptions) (AuditReport, error) {
	if o.Sample <= 0 {
		o.Sample = 100
	}
	model, types, err := view.model(events)
	if err != nil {
		return AuditReport{}, err
	}
	head, err := log.Head(ctx)
	if err != nil {
		return AuditReport{}, fmt.Errorf("read the head: %w", err)
	}
	builds, err := sink.Builds(ctx, view.Name())
	if err != nil {
		return AuditReport{}, fmt.Errorf("read the generations: %w", err)
	}
	build, _ := FindBuild(builds, view.generation)
	a := &audit[R]{
		log: log, events: events, sink: sink, view: view, model: model, types: types, named: view.keyedByStream(events), source: head.Store,
		alone: !slices.ContainsFunc(build.Checkpoints, func(c subscription.Checkpoint) bool { return c.Source.Store != head.Store }),
	}
	keys := o.Keys
	if len(keys) == 0 {
		if keys, err = a.sample(ctx, o.Sample); err != nil {
			return AuditReport{}, err
		}
	}
	report, err := a.compare(ctx, keys)
	if err != nil || !o.Repair {
		return report, err
	}
	report.Repaired, err = a.repair(ctx, report.Differences)
	return report, err
}

type audit[R any] struct {
	log    eventstore.LogReader
	events *codec.Set
	sink   Sink
	view   *View[R]
	model  Model
	types  []string
	named  map[string]bool // types whose events touch the row of their stream and no other
	source eventstore.StoreID
	alone  bool // no other store makes rows of the view
}

// farthest is how many positions a sample goes on to find an event of the view's types.
const farthest = 10_000

// sample returns keys from both sides, in order: what some events touch, and their neighbours among
// the rows, which may be there without an event.
func (a *audit[R]) sample(ctx context.Context, size int) ([]string, error) {
	roster, err := a.roster(ctx)
	if err != nil {
		return nil, err
	}
	last := roster.Lowest().Position()
	found := map[string]bool{}
	if last <= eventstore.Position(4*size) {
		err = a.keysOf(ctx, eventstore.LogQuery{Through: last}, found)
	} else {
		for range size {
			at := 1 + rand.N(last)
			err = errors.Join(err, a.keysOf(ctx, eventstore.LogQuery{After: at - 1, Through: min(at+farthest, last), Limit: 1}, found))
		}
	}
	if err != nil {
		return nil, err
	}
	cursors := []*Cursor{nil}
	for key := range found {
		cursors = append(cursors, &Cursor{Key: key})
	}
	for _, after := range cursors {
		rows, err := a.sink.List(ctx, a.model, ListQuery{After: after, Limit: 1})
		if err != nil {
			return nil, fmt.Errorf("list rows: %w", err)
		}
		for _, r := range rows {
			found[r.Key] = true
		}
	}
	keys := make([]string, 0, len(found))
	for key := range found {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys, nil
}

// keysOf adds the keys that the events of a query touch.
func (a *audit[R]) keysOf(ctx context.Context, q eventstore.LogQuery, found map[string]bool) error {
	if q.Through == 0 {
		return nil
	}
	return a.read(ctx, q, nil, func(e *read) error {
		return a.touches(e, func(key string, _ *Rule[R], _ any) { found[key] = true }, func(key string) { found[key] = true })
	})
}

// read is an event of the log, as Go values or with the reason why there are none.
type read struct {
	eventstore.Recorded

	values []any
	err    error
}

// read calls each with the events of a query, in order, but for those that are not wanted (nil: all
// are). Many are decoded at a time, by all processors.
func (a *audit[R]) read(ctx context.Context, q eventstore.LogQuery, wanted func(*eventstore.Recorded) bool, each func(*read) error) error {
	const many = 4096
	q.Query = eventstore.Types(a.types...)
	log, err := a.log.ReadLog(ctx, q)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	events := make([]read, 0, many)
	flush := func() error {
		a.decode(events)
		for n := range events {
			if err := each(&events[n]); err != nil {
				return err
			}
		}
		events = events[:0]
		return nil
	}
	for e, err := range log.Events() {
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		if wanted != nil && !wanted(&e) {
			continue
		}
		if events = append(events, read{Recorded: e}); len(events) == many {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func (a *audit[R]) decode(events []read) {
	var decoding sync.WaitGroup
	for part := range slices.Chunk(events, len(events)/runtime.GOMAXPROCS(0)+1) {
		decoding.Go(func() {
			for n := range part {
				part[n].values, part[n].err = a.events.Decode(part[n].Recorded)
			}
		})
	}
	decoding.Wait()
}

// touches calls touch for each rule that an event runs through. An event that cannot be decoded
// is the problem of its key, if that is known without, else an error.
func (a *audit[R]) touches(e *read, touch func(key string, rule *Rule[R], event any), broken func(key string)) (err error) {
	if e.err != nil {
		if !a.named[e.Type] {
			return &EventError{Event: e.Recorded, Err: e.err, Permanent: true}
		}
		broken(e.Stream.ID())
		return nil
	}
	underWay := &e.Recorded
	defer recoverAsEventError(&underWay, &err)
	for _, value := range e.values {
		for n := range a.view.rules {
			rule := &a.view.rules[n]
			if rule.event != reflect.TypeOf(value) {
				continue
			}
			if key := rule.key(value, underWay); key != "" {
				touch(key, rule, value)
			}
		}
	}
	return nil
}

// refold is a row made from the log, event by event, stored and read back after each.
type refold[R any] struct {
	key    string
	value  R
	exists bool
	values []any // of the columns, if it exists
	err    error

	stored   Row // as the sink has it, if it does
	isStored bool
	from, to eventstore.Position // between which the sink's row was made
	last     eventstore.Position // that touched it
	fits     bool                // the stored row is what it was at some position between
	passed   bool                // the fold is past them
	want     *refold[R]          // what it was at their end
}

// apply folds one event into the row. What it was before was so up to the event.
func (a *audit[R]) apply(r *refold[R], e *eventstore.Recorded, do func()) {
	if r.last < e.Position {
		r.compareUntil(e.Position)
		r.last = e.Position
	}
	if r.err != nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			r.err = &EventError{Event: *e, Err: fmt.Errorf("panic: %v", p), Permanent: true}
		}
	}()
	do()
	if !r.exists {
		return
	}
	row := reflect.ValueOf(&r.value).Elem()
	encoded, err := a.view.mapping.encode(r.key, row)
	if err == nil {
		r.values = encoded.Values
		row.SetZero()
		err = a.view.mapping.decode(encoded, row)
	}
	if err != nil {
		r.err = &EventError{Event: *e, Err: err, Permanent: true}
	}
}

// compareUntil compares the stored row with what it is before an event at the position.
func (r *refold[R]) compareUntil(next eventstore.Position) {
	if r.passed || next <= r.from {
		return
	}
	r.fits = r.fits || r.err == nil && r.exists == r.isStored && (!r.exists || reflect.DeepEqual(r.values, r.stored.Values))
	if next > r.to {
		r.passed = true
		was := *r
		r.want = &was
	}
}

func (a *audit[R]) newRow(key string) *refold[R] {
	r := &refold[R]{key: key}
	a.view.mapping.setKey(key, reflect.ValueOf(&r.value).Elem())
	return r
}

// fold goes on with the rows of some keys, from one position to another.
func (a *audit[R]) fold(ctx context.Context, rows map[string]*refold[R], after, through eventstore.Position) error {
	if through <= after || len(rows) == 0 {
		return nil
	}
	wanted := func(e *eventstore.Recorded) bool { return !a.named[e.Type] || rows[e.Stream.ID()] != nil }
	return a.read(ctx, eventstore.LogQuery{After: after, Through: through}, wanted, func(e *read) error {
		return a.touches(e, func(key string, rule *Rule[R], event any) {
			r := rows[key]
			if r == nil {
				return
			}
			a.apply(r, &e.Recorded, func() {
				if rule.fold == nil {
					r.value, r.exists = a.newRow(key).value, false
					return
				}
				rule.fold(&r.value, event, &e.Recorded)
				r.exists = true
			})
		}, func(key string) {
			if r := rows[key]; r != nil {
				a.apply(r, &e.Recorded, func() { r.err = &EventError{Event: e.Recorded, Err: e.err, Permanent: true} })
			}
		})
	})
}

// compare looks at the rows of some keys.
func (a *audit[R]) compare(ctx context.Context, keys []string) (report AuditReport, err error) {
	rows, parked, err := a.look(ctx, keys)
	if err != nil {
		return report, err
	}
	var through eventstore.Position
	for _, r := range rows {
		through = max(through, r.to)
	}
	if err := a.fold(ctx, rows, 0, through); err != nil {
		return report, err
	}
	report.Parked = parked
	for _, key := range keys {
		r := rows[key]
		if r == nil {
			continue
		}
		r.compareUntil(r.to + 1)
		if !a.alone && r.last == 0 {
			continue // it is another store's
		}
		report.Keys = append(report.Keys, key)
		if !r.fits {
			report.Differences = append(report.Differences, a.difference(r.want, r))
		}
	}
	return report, nil
}

func (a *audit[R]) difference(want, stored *refold[R]) Difference {
	d := Difference{Key: want.key, Err: want.err}
	if stored.isStored {
		d.Stored = a.byName(stored.stored.Values)
	}
	if want.exists && want.err == nil {
		d.Want = a.byName(want.values)
	}
	for _, c := range a.model.Columns {
		if d.Stored != nil && d.Want != nil && !reflect.DeepEqual(d.Stored[c.Name], d.Want[c.Name]) {
			d.Columns = append(d.Columns, c.Name)
		}
	}
	return d
}

// byName returns values by the names of their columns.
func (a *audit[R]) byName(values []any) map[string]any {
	named := make(map[string]any, len(values))
	for n, c := range a.model.Columns {
		named[c.Name] = values[n]
	}
	return named
}

// look reads the rows of some keys, each with the positions between which it was made. Keys that
// are parked are left out.
func (a *audit[R]) look(ctx context.Context, keys []string) (rows map[string]*refold[R], left []string, err error) {
	for {
		before, err := a.roster(ctx)
		if err != nil {
			return nil, nil, err
		}
		parked, err := a.sink.Parked(ctx, a.model.Generation, a.source)
		if err != nil {
			return nil, nil, fmt.Errorf("read what is parked: %w", err)
		}
		stored, err := a.sink.Load(ctx, a.model, keys)
		if err != nil {
			return nil, nil, fmt.Errorf("load rows: %w", err)
		}
		after, err := a.roster(ctx)
		if err != nil {
			return nil, nil, err
		}
		rows, left = map[string]*refold[R]{}, nil
		steady := true
		for _, key := range keys {
			from, to := segmentOf(before, key), segmentOf(after, key)
			steady = steady && from.Parks == to.Parks && from.Source == to.Source && from.Position() <= to.Position()
			if slices.ContainsFunc(parked, func(p Parked) bool { return p.Key == key }) {
				left = append(left, key)
				continue
			}
			rows[key] = a.newRow(key)
			rows[key].from, rows[key].to = from.Position(), to.Position()
		}
		for _, row := range stored {
			if r := rows[row.Key]; r != nil {
				r.stored, r.isStored = row, true
			}
		}
		if steady {
			return rows, left, nil
		}
	}
}

func (a *audit[R]) roster(ctx context.Context) (subscription.Roster, error) {
	roster, err := a.sink.Leases(a.model.Generation, a.source).Roster(ctx)
	if err == nil && len(roster.Segments) == 0 {
		err = ErrNotBuilt
	}
	if err != nil {
		return roster, fmt.Errorf("read the segments: %w", err)
	}
	return roster, nil
}

// segmentOf returns the checkpoint of the segment that has the key.
func segmentOf(roster subscription.Roster, key string) subscription.Checkpoint {
	for _, l := range roster.Segments {
		if l.Segment.Holds(key) {
			return l.Checkpoint
		}
	}
	return subscription.Checkpoint{}
}

// repair writes rows as the log has them.
func (a *audit[R]) repair(ctx context.Context, differences []Difference) (repaired []string, err error) {
	for _, d := range differences {
		if d.Err != nil {
			continue
		}
		done, err := a.rewrite(ctx, d.Key)
		if err != nil {
			return repaired, fmt.Errorf("repair row %q: %w", d.Key, err)
		}
		if done {
			repaired = append(repaired, d.Key)
		}
	}
	return repaired, nil
}

// rewrite commits a row at the checkpoint of its segment. A worker that moves it meanwhile wins, and
// the row is folded on. The count of parks tells the worker to load its rows again.
func (a *audit[R]) rewrite(ctx context.Context, key string) (done bool, err error) {
	row := map[string]*refold[R]{key: a.newRow(key)}
	var folded eventstore.Position
	for {
		roster, err := a.roster(ctx)
		if err != nil {
			return false, err
		}
		parked, err := a.sink.Parked(ctx, a.model.Generation, a.source)
		if err != nil {
			return false, fmt.Errorf("read what is parked: %w", err)
		}
		at := segmentOf(roster, key)
		if at.Position() < folded || slices.ContainsFunc(parked, func(p Parked) bool { return p.Key == key }) {
			return false, nil // the read model was reset, or the row is behind on purpose
		}
		if err := a.fold(ctx, row, folded, at.Position()); err != nil {
			return false, err
		}
		folded = at.Position()
		r := row[key]
		if r.err != nil {
			return false, r.err
		}
		move := Move{From: at, To: at}
		move.To.Parks++
		change := Change{Row: Row{Key: key, Values: r.values}, Deleted: !r.exists}
		if err := a.sink.Commit(ctx, a.model, move, []Change{change}); !errors.Is(err, subscription.ErrStale) {
			return err == nil, err
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
	}
}
