package projection

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
)

// prepared is what a window does to which rows. It is made once, while the window before is
// applied, for the targets of all segments: each takes what its own rows need.
type prepared[R any] struct {
	keys  []string       // of the rows that are touched, each once
	index map[string]int // of a key among them
	steps []step[R]      // in the order of the log
	taken []atomic.Bool  // of a row: its steps have been given away
	err   error          // why it cannot be made
}

// step is one event on one row.
type step[R any] struct {
	decoded
	rule *Rule[R]
	key  string
	row  int
}

// decoded is an event as a Go value. An upcast may turn one stored event into several.
type decoded struct {
	event any
	m     *eventstore.Recorded
	among int   // so many values of one stored event
	err   error // why there is no value
}

// minPart is how many events are worth a goroutine.
const minPart = 256

// prepare decodes the events and asks the rules which rows they touch, a part of them on each
// processor.
func (t *viewTarget[R]) prepare(events []eventstore.Recorded) *prepared[R] {
	parts := slices.Collect(slices.Chunk(events, max(minPart, (len(events)-1)/runtime.GOMAXPROCS(0)+1)))
	steps, errs := make([][]step[R], len(parts)), make([]error, len(parts))
	var all sync.WaitGroup
	defer all.Wait()
	for n := range parts {
		part := func() {
			errs[n] = errEnded // if user code ends the goroutine
			steps[n], errs[n] = t.part(parts[n])
		}
		if n == len(parts)-1 {
			part()
		} else {
			all.Go(part)
		}
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return &prepared[R]{err: err} // of the first event that failed
		}
	}
	return gathered(slices.Concat(steps...))
}

var errEnded = errors.New("the projection's code ended its goroutine (runtime.Goexit, or t.FailNow in a test) instead of returning")

func (t *viewTarget[R]) part(events []eventstore.Recorded) ([]step[R], error) {
	decoded, err := t.decode(events)
	if err != nil {
		return nil, err
	}
	return t.steps(decoded)
}

func (t *viewTarget[R]) decode(events []eventstore.Recorded) ([]decoded, error) {
	all := make([]decoded, 0, len(events))
	for n := range events {
		m := &events[n]
		values, err := t.events.Decode(*m)
		if err != nil {
			err = &EventError{Event: *m, Err: err, Permanent: true}
			if !t.named[m.Type] {
				return nil, err // nobody knows which keys are concerned
			}
			all = append(all, decoded{m: m, err: err})
		}
		for _, value := range values {
			all = append(all, decoded{event: value, m: m, among: len(values)})
		}
	}
	return all, nil
}

// steps asks the rules which rows the events touch.
func (t *viewTarget[R]) steps(events []decoded) (all []step[R], err error) {
	var underWay *eventstore.Recorded
	defer recoverAsEventError(&underWay, &err)
	all = make([]step[R], 0, len(events))
	for _, e := range events {
		underWay = e.m
		if e.err != nil {
			all = append(all, step[R]{decoded: e, key: e.m.Stream.ID()})
			continue
		}
		first := len(all)
		for _, rule := range t.rules[reflect.TypeOf(e.event)] {
			key := rule.key(e.event, e.m)
			if key == "" {
				continue
			}
			all = append(all, step[R]{decoded: t.own(e, rule, key, all[first:]), rule: rule, key: key})
		}
	}
	return all, nil
}

// own returns the event for a step on the row, behind the other steps of it. Rows do not share
// what can be changed: a fold may keep a slice of the event in its row, and change it there later,
// while another row with the same slice is folded in another segment.
func (t *viewTarget[R]) own(e decoded, rule *Rule[R], key string, others []step[R]) decoded {
	if len(others) == 0 || !rule.refers {
		return e
	}
	for _, o := range others {
		if o.key == key {
			return o.decoded
		}
	}
	event, err := t.again(e)
	if err != nil { // it has just been decoded
		e.err = &EventError{Event: *e.m, Err: err, Permanent: true}
		return e
	}
	e.event = event
	return e
}

// again returns the value once more. One among several is copied: decoded again, each of a thousand
// values of one event would cost a thousand.
func (t *viewTarget[R]) again(e decoded) (any, error) {
	if e.among > 1 {
		return t.events.Copy(e.event)
	}
	values, err := t.events.Decode(*e.m)
	if err != nil {
		return nil, err
	}
	return values[0], nil
}

// holdsReferences reports whether a copy of a value of the type shares something with it that
// can be changed.
func holdsReferences(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Interface, reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return true
	case reflect.Array:
		return holdsReferences(t.Elem())
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return false
		}
		for f := range t.Fields() {
			if holdsReferences(f.Type) {
				return true
			}
		}
	}
	return false
}

// gathered numbers the rows of the steps.
func gathered[R any](steps []step[R]) *prepared[R] {
	p := &prepared[R]{steps: steps, index: map[string]int{}}
	for n := range steps {
		s := &steps[n]
		row, known := p.index[s.key]
		if !known {
			row = len(p.keys)
			p.index[s.key] = row
			p.keys = append(p.keys, s.key)
		}
		s.row = row
	}
	p.taken = make([]atomic.Bool, len(p.keys))
	return p
}

// batch is the rows of a segment that a window touches, each once, and what touches them in
// order.
type batch[R any] struct {
	rows    []*row[R]
	touches []touch[R]
}

// touch is one event on one row.
type touch[R any] struct {
	decoded
	rule *Rule[R]
	row  *row[R]
}

// windowBatch returns what a window does to the rows of the segment; nothing is loaded or folded
// yet. What was taken from it before, by a try that failed, may have been changed by a fold.
func (t *viewTarget[R]) windowBatch(w subscription.Window) (*batch[R], error) {
	if p, ok := w.Prepared.(*prepared[R]); ok {
		if b, err := t.take(p); b != nil || err != nil {
			return b, err
		}
	}
	return t.batchOf(w.Events)
}

// batchOf is windowBatch for events that nobody has prepared.
func (t *viewTarget[R]) batchOf(events []eventstore.Recorded) (*batch[R], error) {
	return t.take(t.prepare(events))
}

// take returns the part of the segment, or nil if that has been taken before.
func (t *viewTarget[R]) take(p *prepared[R]) (*batch[R], error) {
	if p.err != nil {
		return nil, p.err
	}
	b := &batch[R]{rows: make([]*row[R], 0, len(p.keys)), touches: make([]touch[R], 0, len(p.steps))}
	mine := make([]*row[R], len(p.keys))
	for n, key := range p.keys {
		if !t.segment.Holds(key) {
			continue
		}
		if err := checkText(key); err != nil { // no sink can look for it, or keep it as parked
			first := p.steps[slices.IndexFunc(p.steps, func(s step[R]) bool { return s.row == n })]
			return nil, &EventError{Event: *first.m, Err: fmt.Errorf("key %q: %w", key, err), Permanent: true}
		}
		if !p.taken[n].CompareAndSwap(false, true) {
			return nil, nil
		}
		mine[n] = t.newRow(key)
		b.rows = append(b.rows, mine[n])
	}
	for n := range p.steps {
		if s := &p.steps[n]; mine[s.row] != nil {
			b.touches = append(b.touches, touch[R]{s.decoded, s.rule, mine[s.row]})
		}
	}
	return b, nil
}
