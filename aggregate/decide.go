package aggregate

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// LogStore is what [Decide] takes of an event store.
type LogStore interface {
	eventstore.Appender
	eventstore.LogReader
}

// Write is the part of a [Decide] decision that goes to one stream.
type Write struct {
	Stream eventstore.StreamID
	// Expected is checked besides the query. Default: any version.
	Expected eventstore.ExpectedVersion
	// Events are values of types in the codec set. Their tags come from [codec.Tags].
	Events []any
}

// Decide makes a decision over the events that a query selects, whichever streams they
// are in: a course has free places and the student has time, in one decision. The
// query, not a stream, is the consistency boundary ("dynamic consistency boundary",
// dcb.events).
//
// It folds the query's events, in the order of the log, into a zero S, decides, and
// appends the writes on the condition that no event matching the query has been
// appended since. If one has, or a write's expected version is wrong, it starts over, up
// to 10 times. Name everything the decision depends on in the query and nothing else: an
// event it misses is not guarded, one too many is a needless conflict.
//
// The query names event types as they are today. An old event that stands for several, or was
// stored under another name, is read too, and of it the events that the query asks for are folded;
// it must have the query's tags. Every event the query selects must be of a type in the set, except the store's own,
// which are passed over. Command ids, decisions without events and errors are those of
// [Repository.Execute]; [ExpectVersion] is refused. Under a command id the boundary is
// the query, so a repeat must ask the same one; the order within it does not matter.
func Decide[S any](
	ctx context.Context, store LogStore, events *codec.Set, query eventstore.Query,
	fold func(state *S, event any, recorded eventstore.Recorded),
	decide func(state S) ([]Write, error),
	options ...ExecuteOption,
) (eventstore.Receipt, error) {
	s := newSettings(ctx, options)
	d := boundary[S]{store: store, events: events, query: query, fold: fold, decide: decide, metadata: s.encoded}
	receipt, err := d.execute(ctx, s)
	if err != nil {
		return eventstore.Receipt{}, fmt.Errorf("decide over %s: %w", query, err)
	}
	return receipt, nil
}

// boundary is one call of Decide.
type boundary[S any] struct {
	store    LogStore
	events   *codec.Set
	query    eventstore.Query
	fold     func(*S, any, eventstore.Recorded)
	decide   func(S) ([]Write, error)
	metadata []byte
}

func (d boundary[S]) execute(ctx context.Context, s settings) (eventstore.Receipt, error) {
	if s = s.expecting(ctx); s.expected != nil {
		return eventstore.Receipt{}, &eventstore.InvalidError{What: "ExpectVersion", Reason: "a query has no version; give the Write an Expected"}
	}
	// Elsewhere the id is made of the streams written. They are known only after
	// deciding, and a refusal must be looked up without having decided on any, so here
	// it is the query: that is what the decision stands on.
	x := execution{
		store:    d.store,
		command:  s.command(ctx, queryKey(d.query)),
		attempts: s.maxAttempts,
		propose:  d.propose,
	}
	return x.run(ctx)
}

func (d boundary[S]) propose(ctx context.Context) (proposal, error) {
	state, end, err := d.load(ctx)
	if err != nil {
		return proposal{}, err
	}
	writes, err := d.decide(state)
	if err != nil {
		return proposal{}, &RefusedError{err}
	}
	p := proposal{request: eventstore.AppendRequest{
		Condition: &eventstore.Condition{FailIf: storedQuery(d.events, d.query), After: end.Position},
		Life:      end.Identity,
	}}
	for _, w := range writes {
		encoded, err := encode(d.events, w.Events, d.metadata)
		if err != nil {
			return proposal{}, fmt.Errorf("%s: %w", w.Stream, err)
		}
		p.request.Writes = append(p.request.Writes, eventstore.Write{Stream: w.Stream, Expected: w.Expected, Events: encoded})
	}
	return p, nil
}

// load folds what the query selects. The events and the position that the condition
// starts from come from one read: with a position asked for afterwards, an event between
// the two would be neither folded nor refused. So does the life of the log: after a failover
// the position may be that of another event.
func (d boundary[S]) load(ctx context.Context) (state S, end eventstore.Token, err error) {
	read, err := d.store.ReadLog(ctx, eventstore.LogQuery{Query: storedQuery(d.events, d.query)})
	if err != nil {
		return state, end, fmt.Errorf("load: %w", err)
	}
	for recorded, err := range read.Events() {
		if err == nil {
			err = d.foldRecorded(&state, recorded)
		}
		if err != nil {
			return state, end, fmt.Errorf("load: %w", err)
		}
	}
	return state, read.Token(), nil
}

func (d boundary[S]) foldRecorded(state *S, r eventstore.Recorded) error {
	decoded, err := d.events.Decode(r)
	if errors.Is(err, codec.ErrUnknownType) && strings.HasPrefix(r.Type, "$") {
		return nil // the store's own, such as a tombstone
	}
	if err != nil {
		return err
	}
	for _, event := range decoded {
		if name, _ := d.events.NameFor(reflect.TypeOf(event)); selects(d.query, name, r) {
			d.fold(state, event, r)
		}
	}
	return nil
}
