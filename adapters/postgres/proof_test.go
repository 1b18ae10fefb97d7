package postgres

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/testservers"
)

// A proxy gives each statement to another server, so that even the end of a read and its
// first page come from two, as do a tag's positions and the events there.
func TestEveryStatementOfAReadMayComeFromAServerThatLags(t *testing.T) {
	t.Parallel()
	ahead, behind := aheadAndBehind(t)
	on := func(store *Store, f func(session) error) error { return store.db.do(t.Context(), f) }
	for name, query := range map[string]eventstore.Query{
		"all":            {},
		"by type":        eventstore.Types("order.placed"),
		"by tag":         eventstore.Tagged("a:1"),
		"by type or tag": {Items: []eventstore.QueryItem{{Types: []string{"order.placed"}}, {Tags: []eventstore.Tag{"a:1"}}}},
	} {
		read := logRead{sql: &ahead.db.sql, query: eventstore.LogQuery{Query: query}}
		require.NoError(t, on(ahead, func(s session) error { return read.fix(t.Context(), s) }))
		page := func(store *Store, most int) (p page, err error) {
			err = on(store, func(s session) error { p, err = read.page(t.Context(), s, resume{rows: most}); return err })
			return p, err
		}
		p, err := page(ahead, pageEvents)
		require.NoError(t, err, name)
		require.Len(t, p.events, 7, name)
		require.True(t, p.last, name)

		_, err = page(behind, pageEvents)
		require.ErrorIs(t, err, ErrUnavailable, name)
		require.ErrorContains(t, err, "no event at position 7 yet", name)

		if name != "by type or tag" { // it always asks for a whole page
			p, err = page(behind, 3)
			require.NoError(t, err, "%s: a full page of a server that lags is the page", name)
			require.Len(t, p.events, 3, name)
		}
	}

	// The positions come from the one, the events from the other, which lacks some.
	read := logRead{sql: &ahead.db.sql, query: eventstore.LogQuery{Query: eventstore.Tagged("a:1")}}
	require.NoError(t, on(ahead, func(s session) error { return read.fix(t.Context(), s) }))
	events := func(store *Store, positions ...eventstore.Position) error {
		return on(store, func(s session) error {
			_, err := read.eventsAt(t.Context(), s, positions)
			return err
		})
	}
	require.NoError(t, events(ahead, 5, 6, 7))
	require.ErrorIs(t, events(behind, 5, 6, 7), ErrUnavailable)
	require.NoError(t, events(behind, 4, 5), "it has all of these")
	err := events(ahead, 7, 8)
	require.ErrorIs(t, err, eventstore.ErrDiverged, "the index names an event that is not there")
}

// The end of a stream comes from a server that does not have its first page yet.
func TestTheEndOfAStreamMayComeFromAServerThatLags(t *testing.T) {
	read := streamRead{stream: "order-1", in: eventstore.StreamRange{Through: 9000}}
	require.ErrorIs(t, read.fix(page{reached: place{version: 1001}}, 900), ErrUnavailable)
}

// A log with a hole breaks the promise that everything rests on, whatever is kept of it.
func TestAHoleInTheLogIsFoundEvenWhereRowsAreFiltered(t *testing.T) {
	for _, keep := range []func(eventstore.EventData) bool{nil, func(eventstore.EventData) bool { return false }} {
		scan := newPageScan(resume{place{position: 4}, pageEvents})
		scan.keep, scan.follows = keep, gapFree
		require.NoError(t, scan.scan(eventRow(5)))
		require.ErrorIs(t, scan.scan(eventRow(7)), eventstore.ErrDiverged)
	}
}

func eventRow(at eventstore.Position) [][]byte {
	return [][]byte{position(at), []byte("order-1"), bigint(1), make([]byte, 16), []byte("order.placed"), {0, 1}, bigint(0), nil, nil, []byte("{}")}
}

// aheadAndBehind opens two stores with the same first 5 events; one has 2 more.
func aheadAndBehind(t *testing.T) (ahead, behind *Store) {
	t.Helper()
	internalPool(t) // skips, or fails, where there is no Postgres
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	first, err := server.NewDatabase(t.Context(), "")
	require.NoError(t, err)
	ahead = openAt(t, server.URL(first))
	appendTagged(t, ahead, 5)
	require.NoError(t, ahead.Close(t.Context())) // nobody may be connected to what is copied
	second, err := server.NewDatabase(t.Context(), first)
	require.NoError(t, err)
	ahead, behind = openAt(t, server.URL(first)), openAt(t, server.URL(second))
	appendTagged(t, ahead, 2)
	return ahead, behind
}

func openAt(t *testing.T, url string) *Store {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	require.NoError(t, err)
	defer pool.Close()
	_, err = Migrate(t.Context(), pool, MigrateOptions{})
	require.NoError(t, err)
	store, err := Open(t.Context(), pool, Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
	return store
}

func appendTagged(t *testing.T, store *Store, n int) {
	t.Helper()
	events := make([]eventstore.EventData, n)
	for i := range events {
		events[i] = eventstore.EventData{Type: "order.placed", Tags: []eventstore.Tag{"a:1"}, Data: []byte("{}")}
	}
	_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "order-1", Events: events}}})
	require.NoError(t, err)
}
