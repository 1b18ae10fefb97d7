package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
)

// Ledger is an aggregate whose events say what they were decided on, so that a log tells by
// itself whether every decision was made on the newest state. It holds references.
type Ledger struct {
	Total   int64
	Entries []int64
	By      map[string]int64
}

type Entered struct {
	By       string
	Saw, Add int64
}

func (e Entered) apply(l *Ledger) {
	l.Total += e.Add
	l.Entries = append(l.Entries, e.Add)
	if l.By == nil {
		l.By = map[string]int64{}
	}
	l.By[e.By] += e.Add
}

var Ledgers = aggregate.Define("ledger", Entered.apply, codec.Event[Entered]("ledger.entered")).FoldVersion(1)

type shortError struct{ saw int64 }

func (e *shortError) Error() string { return fmt.Sprintf("only %d there", e.saw) }

// enter adds to the ledger, which may not go below 0. It misuses the state that it is given, as
// decisions do by accident.
func enter(by string, add int64) aggregate.Decision[Ledger, Entered] {
	return func(l Ledger) ([]Entered, error) {
		saw := l.Total
		if len(l.Entries) > 0 {
			l.Entries[0] = -1000
			_ = append(l.Entries, -1000)
			l.By[by] -= 1000
		}
		if saw+add < 0 {
			return nil, &shortError{saw}
		}
		return []Entered{{by, saw, add}}, nil
	}
}

// checkLedgers returns an error if an event was decided on anything but the fold of the events
// before it.
func checkLedgers(ctx context.Context, store eventstore.LogReader) error {
	read, err := store.ReadLog(ctx, eventstore.LogQuery{})
	if err != nil {
		return err
	}
	totals := map[eventstore.StreamID]int64{}
	for recorded, err := range read.Events() {
		if err != nil {
			return err
		}
		decoded, err := Ledgers.Events().Decode(recorded)
		if err != nil {
			return err
		}
		for _, e := range decoded {
			entered := e.(Entered)
			if entered.Saw != totals[recorded.Stream] {
				return fmt.Errorf("version %d of %s was decided on a total of %d, it was %d", recorded.Version, recorded.Stream, entered.Saw, totals[recorded.Stream])
			}
			totals[recorded.Stream] += entered.Add
		}
	}
	return nil
}

// failing is a store whose appends can fail, and that can fail over to a copy which lacks the
// newest of them.
type failing struct {
	*memory.Store
	identity eventstore.Identity
	made     []eventstore.AppendRequest
	next     fault
}

// fault is what happens to the next append.
type fault struct {
	err   error // nil: nothing
	taken bool  // it is made all the same
}

var faults = map[string]fault{
	"none":                   {},
	"busy":                   {err: eventstore.ErrStoreBusy},
	"unknown, and made":      {err: eventstore.ErrOutcomeUnknown, taken: true},
	"unknown, and not made":  {err: eventstore.ErrOutcomeUnknown},
	"the connection is lost": {err: errors.New("connection lost")},
}

var faultNames = slices.Sorted(maps.Keys(faults))

func newFailing() *failing {
	return &failing{Store: memory.NewStore(), identity: eventstore.Identity{Store: eventstore.NewStoreID(), Incarnation: 1}}
}

func (f *failing) Head(ctx context.Context) (eventstore.Token, error) {
	head, err := f.Store.Head(ctx)
	head.Identity = f.identity
	return head, err
}

func (f *failing) ReadLog(ctx context.Context, query eventstore.LogQuery) (*eventstore.LogRead, error) {
	read, err := f.Store.ReadLog(ctx, query)
	if err == nil {
		read.Identity = f.identity
	}
	return read, err
}

func (f *failing) Append(ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
	failure := f.next
	f.next = fault{}
	if failure.err != nil && !failure.taken {
		return eventstore.Receipt{}, failure.err
	}
	receipt, err := f.append(ctx, r)
	if err == nil && failure.err != nil {
		return eventstore.Receipt{}, failure.err
	}
	return receipt, err
}

func (f *failing) append(ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
	r, err := r.Prepare(eventstore.Limits{}) // the copy shall have the same event ids
	if err != nil {
		return eventstore.Receipt{}, err
	}
	if first, found, err := f.LookupCommand(ctx, r.Command); found || err != nil {
		return first, err
	}
	if err := r.CheckLife(f.identity); err != nil {
		return eventstore.Receipt{}, err
	}
	r.Life = eventstore.Identity{}
	receipt, err := f.Store.Append(ctx, r)
	if err == nil {
		f.made = append(f.made, r)
	}
	receipt.Token.Identity = f.identity
	return receipt, err
}

func (f *failing) LookupCommand(ctx context.Context, c eventstore.Command) (eventstore.Receipt, bool, error) {
	receipt, found, err := f.Store.LookupCommand(ctx, c)
	receipt.Token.Identity = f.identity
	return receipt, found, err
}

// failOver goes on with a copy that lacks the last appends.
func (f *failing) failOver(t testing.TB, lost int) {
	t.Helper()
	f.Store = memory.NewStore()
	f.made = f.made[:max(0, len(f.made)-lost)]
	for _, r := range f.made {
		_, err := f.Store.Append(t.Context(), r)
		require.NoError(t, err)
	}
	f.identity.Incarnation++
}
