package redisstore_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/projection"
)

type counted struct{ Amount int64 }

// tally counts what happened to one stream: a lost event or a repeated one would show.
// Disorder counts events that came after a later one.
type tally struct {
	ID       string `leftfold:"key"`
	Events   int64
	Sum      int64
	Last     int64
	Disorder int64
}

var tallies = projection.NewView("tallies", projection.ViewOptions{Version: 1, Indexes: []string{"sum"}},
	projection.When(func(row *tally, e counted, m eventstore.Recorded) {
		row.Events++
		row.Sum += e.Amount
		if int64(m.Position) <= row.Last {
			row.Disorder++
		}
		row.Last = int64(m.Position)
	}))

// window is how many positions a commit is for.
const window = 17

// log is a log in memory, which no fault touches, and what it holds: one event a position.
type log struct {
	store  *memory.Store
	events *codec.Set
	id     eventstore.StoreID
	keys   []string
	sums   []int64
}

func newLog(t testing.TB) *log {
	t.Helper()
	events, err := codec.NewSet(codec.Event[counted]("counted"))
	require.NoError(t, err)
	l := &log{store: memory.NewStore(), events: events}
	head, err := l.store.Head(t.Context())
	require.NoError(t, err)
	l.id = head.Store
	return l
}

// happen appends events to some streams that are in every window and some that are rare.
func (l *log) happen(t testing.TB, events int) {
	t.Helper()
	for range events {
		n := len(l.keys)
		key := string(rune('a' + n%5))
		if n%7 == 6 {
			key = fmt.Sprintf("rare-%d", n%1000)
		}
		data, err := l.events.Encode(counted{int64(n)})
		require.NoError(t, err)
		_, err = l.store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{
			{Stream: eventstore.NewStreamID("tally", key), Events: []eventstore.EventData{data}},
		}})
		require.NoError(t, err)
		l.keys, l.sums = append(l.keys, key), append(l.sums, int64(n))
	}
}

func (l *log) runner(sink projection.Sink) projection.Runner {
	return projection.Runner{Log: l.store, Events: l.events, Window: window, Tasks: []projection.Task{projection.Into(sink, tallies)}}
}

// agrees compares the rows with a count of the log up to the checkpoint: rows and checkpoint
// must be of one moment.
func (l *log) agrees(ctx context.Context, sink projection.Sink) error {
	at, err := sink.Checkpoint(ctx, tallies.Generation(), l.id)
	if err != nil {
		return err
	}
	want := map[string]tally{}
	for n, key := range l.keys[:at.Position()] {
		row := want[key]
		want[key] = tally{ID: key, Events: row.Events + 1, Sum: row.Sum + l.sums[n], Last: int64(n + 1)}
	}
	got := map[string]tally{}
	sum := int64(-1)
	for row, err := range projection.NewReader(sink, tallies).All(ctx, projection.ListQuery{By: "sum", Limit: 50}) {
		if err != nil {
			return err
		}
		if row.Sum < sum {
			return fmt.Errorf("row %+v comes after a sum of %d", row, sum)
		}
		sum = row.Sum
		got[row.ID] = row
	}
	for key, row := range want {
		if !reflect.DeepEqual(got[key], row) {
			return fmt.Errorf("at position %d row %q is %+v, want %+v", at.Position(), key, got[key], row)
		}
		delete(got, key)
	}
	if len(got) > 0 {
		return fmt.Errorf("at position %d there are rows too many: %+v", at.Position(), got)
	}
	return nil
}

// head is the position of the newest event.
func (l *log) head() eventstore.Position { return eventstore.Position(len(l.keys)) }
