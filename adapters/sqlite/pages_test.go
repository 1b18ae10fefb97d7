package sqlite_test

import (
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
)

// TestReadsSpanPages reads more than a page, in every way, and compares with a plain
// filter over the whole log.
func TestReadsSpanPages(t *testing.T) {
	store := openStore(t, newPath(t))
	all := fill(t, store, 2500)

	for _, q := range []eventstore.Query{
		{},
		eventstore.Types("even"),
		eventstore.Tagged("all:yes"),
		eventstore.Tagged("all:yes", "third:yes"),
		eventstore.Tagged("third:yes").Or(eventstore.Tagged("fifth:yes")),
		eventstore.Tagged("third:yes").Or(eventstore.Types("even")),
		{Items: []eventstore.QueryItem{{Types: []string{"even"}, Tags: []eventstore.Tag{"third:yes"}}}},
		eventstore.Tagged("none:yes"),
	} {
		for _, limit := range []int{0, 1, 999, 1000, 1001} {
			for _, after := range []eventstore.Position{0, 17, 2490} {
				in := eventstore.LogQuery{Query: q, After: after, Limit: limit, Through: 2495}
				name := fmt.Sprintf("%s, limit %d, after %d", q, limit, after)
				want, end := expected(all, in)
				read, err := store.ReadLog(t.Context(), in)
				require.NoError(t, err, name)
				for range 2 { // a read may be walked again
					require.Equal(t, want, positions(t, read.Events()), name)
				}
				require.Equal(t, end, read.Through.Position, name)
				require.Equal(t, all[end-1].ID, read.Through.EventID, name)
			}
		}
	}
}

func TestStreamsSpanPages(t *testing.T) {
	store := openStore(t, newPath(t))
	_, err := store.Append(t.Context(), appendTo("order-1", 3500))
	require.NoError(t, err)
	for _, c := range []struct {
		in          eventstore.StreamRange
		first, last eventstore.Position
	}{
		{eventstore.StreamRange{}, 1, 3500},
		{eventstore.StreamRange{After: 100, Through: 3000}, 101, 3000},
		{eventstore.StreamRange{After: 100, Limit: 2500}, 101, 2600},
		{eventstore.StreamRange{Backwards: true}, 3500, 1},
		{eventstore.StreamRange{Backwards: true, After: 100, Through: 3000}, 3000, 101},
		{eventstore.StreamRange{Backwards: true, Limit: 2500}, 3500, 1001},
	} {
		got := positions(t, store.ReadStream(t.Context(), "order-1", c.in))
		require.Equal(t, c.first, got[0], "%+v", c.in)
		require.Equal(t, c.last, got[len(got)-1], "%+v", c.in)
		require.Len(t, got, int(max(c.first, c.last)-min(c.first, c.last))+1, "%+v", c.in)
	}
}

// TestLargeEventsEndAPageEarly reads 40 MB in events of 1 MB, by each kind of page.
func TestLargeEventsEndAPageEarly(t *testing.T) {
	store := openStore(t, newPath(t))
	for range 40 {
		large := appendTo("order-1", 1)
		large.Writes[0].Events[0].Data = make([]byte, 1<<20)
		large.Writes[0].Events[0].Tags = []eventstore.Tag{"size:large"}
		_, err := store.Append(t.Context(), large)
		require.NoError(t, err)
	}
	for _, q := range []eventstore.Query{{}, eventstore.Tagged("size:large")} {
		read, err := store.ReadLog(t.Context(), eventstore.LogQuery{Query: q})
		require.NoError(t, err)
		require.Len(t, positions(t, read.Events()), 40)
	}
	require.Len(t, positions(t, store.ReadStream(t.Context(), "order-1", eventstore.StreamRange{Backwards: true})), 40)
}

// TestNoConnectionIsHeldWhileTheLoopBodyRuns has one read connection for two nested
// reads and an append: held, it would hang.
func TestNoConnectionIsHeldWhileTheLoopBodyRuns(t *testing.T) {
	store := openWith(t, newPath(t), sqlite.Options{Readers: 1})
	fill(t, store, 2500)
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	n := 0
	for _, err := range read.Events() {
		require.NoError(t, err)
		if n++; n%500 != 0 {
			continue
		}
		_, err = store.Append(t.Context(), appendTo("other-1", 1))
		require.NoError(t, err)
		for _, err := range store.ReadStream(t.Context(), "order-1", eventstore.StreamRange{Limit: 2}) {
			require.NoError(t, err)
		}
	}
	require.Equal(t, 2500, n, "what was appended meanwhile is not part of the read")
}

// fill appends n events with a mix of types and tags and returns them as read back.
func fill(t *testing.T, store eventstore.Store, n int) (all []eventstore.Recorded) {
	t.Helper()
	request := appendTo("order-1", n)
	for i := range request.Writes[0].Events {
		e := &request.Writes[0].Events[i]
		e.Type, e.Tags = "odd", []eventstore.Tag{"all:yes"}
		if i%2 == 0 {
			e.Type = "even"
		}
		if i%3 == 0 {
			e.Tags = append(e.Tags, "third:yes")
		}
		if i%5 == 0 {
			e.Tags = append(e.Tags, "fifth:yes")
		}
	}
	_, err := store.Append(t.Context(), request)
	require.NoError(t, err)
	for e, err := range store.ReadStream(t.Context(), "order-1", eventstore.StreamRange{}) {
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}

// expected filters the log as the port says, and returns the read's end too.
func expected(all []eventstore.Recorded, in eventstore.LogQuery) (matches []eventstore.Position, end eventstore.Position) {
	end = in.Through
	for _, e := range all[in.After:in.Through] {
		if !in.Query.Matches(e.EventData) {
			continue
		}
		matches = append(matches, e.Position)
		if len(matches) == in.Limit {
			return matches, e.Position
		}
	}
	return matches, end
}

func positions(t *testing.T, events iter.Seq2[eventstore.Recorded, error]) (all []eventstore.Position) {
	t.Helper()
	for e, err := range events {
		if err != nil {
			require.NoError(t, err)
		}
		all = append(all, e.Position)
	}
	return all
}
