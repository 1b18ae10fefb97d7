package postgres

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/testservers"
)

// openWith opens a store that is closed with the test.
func openWith(t *testing.T, pool *pgxpool.Pool, o Options) *Store {
	t.Helper()
	store, err := Open(t.Context(), pool, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close(context.Background())) })
	return store
}

func oneOf(stream eventstore.StreamID) eventstore.AppendRequest {
	return eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Events: []eventstore.EventData{{Type: "order.placed"}}}}}
}

// The appender is not connected before the first append: readers who take every connection
// until then must leave it one.
func TestReadersTakeNoConnectionFromTheAppender(t *testing.T) {
	store := openWith(t, internalPool(t), Options{Readers: 2})
	reading, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			_ = store.db.do(reading, func(on session) error {
				_, err := on.conn.Exec(reading, "SELECT pg_sleep(60)")
				return err
			})
		})
	}
	require.Eventually(t, func() bool { return store.db.pool.Stat().AcquiredConns() >= 2 }, TestPatience, TestStep)
	_, err := store.Append(t.Context(), oneOf("order-1"))
	stop()
	require.NoError(t, err)
	all.Wait()
}

// A dump that is restored over an open store makes every type and plan anew that its sessions
// know. Each session may fail once, and not for ever.
func TestAStoreGoesOnAfterItsSchemaWasRestoredUnderIt(t *testing.T) {
	server, err := testservers.SharedPostgres()
	if err != nil {
		internalPool(t) // skips, or fails
	}
	pool := internalPool(t)
	store := openWith(t, pool, Options{})
	for range 3 {
		_, err := store.Append(t.Context(), oneOf("order-1"))
		require.NoError(t, err)
	}
	read := func() (events int, err error) {
		for _, err := range store.ReadStream(t.Context(), "order-1", eventstore.StreamRange{}) {
			if err != nil {
				return events, err
			}
			events++
		}
		return events, nil
	}
	_, err = read()
	require.NoError(t, err)

	database := pool.Config().ConnConfig.Database
	dump, err := server.Dump(t.Context(), database)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "DROP SCHEMA leftfold CASCADE")
	require.NoError(t, err)
	require.NoError(t, server.Load(t.Context(), database, dump))

	if _, err := store.Append(t.Context(), oneOf("order-1")); err != nil {
		require.ErrorIs(t, err, eventstore.ErrStoreBusy, "which says to try again")
	}
	_, err = store.Append(t.Context(), oneOf("order-1"))
	require.NoError(t, err)
	if _, err := read(); err != nil {
		require.ErrorIs(t, err, eventstore.ErrStoreBusy)
	}
	events, err := read()
	require.NoError(t, err)
	require.GreaterOrEqual(t, events, 4)
}

func TestAnotherStoreThatTookThePlaceOfTheOpenOneIsRefused(t *testing.T) {
	pool := internalPool(t)
	store := openWith(t, pool, Options{})
	_, err := store.Append(t.Context(), oneOf("order-1"))
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "DROP SCHEMA leftfold CASCADE")
	require.NoError(t, err)
	_, err = Migrate(t.Context(), pool, MigrateOptions{})
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	require.NoError(t, err)
	_, err = store.Append(t.Context(), oneOf("order-1"))
	require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown, "it was sent, and the store that got it cannot be asked")
	_, err = store.Append(t.Context(), oneOf("order-1"))
	require.ErrorIs(t, err, ErrOtherDatabase)
	var events int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM leftfold.events").Scan(&events))
	require.Zero(t, events)
}

// A password may be a token that is fetched for each connection.
func TestEveryConnectionIsMadeWithBeforeConnect(t *testing.T) {
	config := internalPool(t).Config()
	user := config.ConnConfig.User
	config.ConnConfig.User = "is_not_known_yet"
	config.BeforeConnect = func(_ context.Context, c *pgx.ConnConfig) error {
		c.User = user
		return nil
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	store := openWith(t, pool, Options{})
	receipt, err := store.Append(t.Context(), oneOf("order-1"))
	require.NoError(t, err)
	require.NoError(t, store.WaitAppended(t.Context(), receipt.Token.Position-1))
	requireListener(t, pool)
}

// requireListener waits until a session of the database listens for the default schema.
func requireListener(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	require.Eventually(t, func() bool {
		var listens bool
		err := pool.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query = 'LISTEN "leftfold"' AND datname = current_database())`).Scan(&listens)
		return err == nil && listens
	}, TestPatience, TestStep)
}

// Any role of the database may notify on any channel.
func TestAForgedNotificationWakesNobody(t *testing.T) {
	pool := internalPool(t)
	store, rival := openWith(t, pool, Options{}), openWith(t, pool, Options{})
	receipt, err := store.Append(t.Context(), oneOf("order-1"))
	require.NoError(t, err)
	woken := make(chan error, 1)
	go func() { woken <- store.WaitAppended(t.Context(), receipt.Token.Position) }()
	requireListener(t, pool)
	for _, forged := range []string{"9000000000000000000", "7", "-1", "nonsense", ""} {
		_, err := pool.Exec(t.Context(), "SELECT pg_notify('leftfold', $1)", forged)
		require.NoError(t, err)
	}
	_, err = rival.Append(t.Context(), oneOf("order-1")) // heard after the others
	require.NoError(t, err)
	require.NoError(t, <-woken)
	require.EqualValues(t, 2, store.wakeups.head().Position)

	waiting, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, store.WaitAppended(waiting, 2), context.DeadlineExceeded)
}

// In another life of the store the log may be shorter.
func TestAHeadIsKnownInOneIncarnation(t *testing.T) {
	before := eventstore.Token{Identity: eventstore.Identity{Store: eventstore.StoreID{1}, Incarnation: 3}, Position: 100}
	after := before
	after.Incarnation, after.Position = 4, 7
	var w wakeups
	for _, step := range []struct{ saw, want eventstore.Token }{
		{before, before}, {eventstore.Token{Identity: before.Identity, Position: 99}, before}, {after, after},
	} {
		w.saw(step.saw)
		require.Equal(t, step.want, w.head())
	}
}

// A head that is known spares whoever waits a look at the log, once. It may be one that was lost.
func TestAHeadIsNewsOnce(t *testing.T) {
	at := eventstore.Token{Identity: eventstore.Identity{Store: eventstore.StoreID{1}, Incarnation: 3}, Position: 7}
	var w wakeups
	w.saw(at)
	require.False(t, w.isNews(7), "nothing is behind it")
	require.True(t, w.isNews(6))
	require.False(t, w.isNews(6), "who comes again has found nothing")
	w.saw(at)
	require.False(t, w.isNews(6), "it is the same one")
	at.Position++
	w.saw(at)
	require.True(t, w.isNews(6))
}

// A reader that waits through a restart of the server learns of what is appended afterwards.
func TestAWaitOutlastsAServerThatIsDown(t *testing.T) {
	t.Parallel()
	internalPool(t) // skips, or fails, where there is no Postgres
	server, err := testservers.StartPostgres(t.Context(), testservers.PostgresOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	pool, err := pgxpool.New(t.Context(), server.URL("postgres"))
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	_, err = Migrate(t.Context(), pool, MigrateOptions{})
	require.NoError(t, err)
	store := openWith(t, pool, Options{})
	require.NoError(t, server.StopImmediate(t.Context()))
	woken := make(chan error, 1)
	_, err = store.Head(t.Context())
	require.ErrorIs(t, err, ErrUnavailable)
	go func() { woken <- store.WaitAppended(t.Context(), 0) }()
	for range 3 { // each is longer than a first look
		_, err = store.Head(t.Context())
		require.ErrorIs(t, err, ErrUnavailable)
	}
	require.NoError(t, server.Start(t.Context()))
	_, err = store.Append(t.Context(), oneOf("order-1"))
	require.NoError(t, err)
	require.NoError(t, <-woken)
}

func TestReadsUnderWayEndWithTheStore(t *testing.T) {
	store := openWith(t, internalPool(t), Options{Readers: 1})
	reading := make(chan struct{})
	answers := make(chan error, 2)
	go func() {
		answers <- store.db.do(t.Context(), func(on session) error {
			close(reading)
			return on.rows(t.Context(), statement{"sleep", "SELECT pg_sleep(600)"}, func([][]byte) error { return nil })
		})
	}()
	<-reading
	go func() { // waits for the only connection
		_, err := store.Head(t.Context())
		answers <- err
	}()
	require.NoError(t, store.Close(t.Context()))
	require.ErrorIs(t, <-answers, eventstore.ErrClosed)
	require.ErrorIs(t, <-answers, eventstore.ErrClosed)
}

// Postgres cuts names at 63 bytes.
func TestAStoreWorksInTheSchemaWithTheLongestName(t *testing.T) {
	pool := internalPool(t)
	name := strings.Repeat("a", 48)
	_, err := Migrate(t.Context(), pool, MigrateOptions{Schema: name})
	require.NoError(t, err)
	store := openWith(t, pool, Options{Schema: name, Readers: 1}) // so that every statement is prepared on one connection
	for range 3 {
		_, err = store.Append(t.Context(), oneOf("order-1"))
		require.NoError(t, err)
	}
	for _, backwards := range []bool{false, true} {
		var versions []eventstore.Version
		for e, err := range store.ReadStream(t.Context(), "order-1", eventstore.StreamRange{Backwards: backwards}) {
			require.NoError(t, err)
			versions = append(versions, e.Version)
		}
		want := []eventstore.Version{1, 2, 3}
		if backwards {
			slices.Reverse(want)
		}
		require.Equal(t, want, versions)
	}
	woken := make(chan error, 1)
	go func() { woken <- store.WaitAppended(t.Context(), 3) }()
	_, err = openWith(t, pool, Options{Schema: name}).Append(t.Context(), oneOf("order-1"))
	require.NoError(t, err)
	require.NoError(t, <-woken)

	for _, st := range reflectStatements(store.db.sql) {
		require.Less(t, len(st.name), 64)
	}
}

// reflectStatements returns every statement, by whatever field.
func reflectStatements(sql statements) (all []statement) {
	for _, field := range reflect.ValueOf(sql).Fields() {
		all = append(all, statement{name: field.FieldByName("name").String()})
	}
	return all
}
