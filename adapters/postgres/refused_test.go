package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/pgproxy"
	"github.com/leftfold/leftfold/internal/testservers"
)

// For what only another process can tell: a limit that a busy machine keeps, and a pause.
const (
	waitLimit = 30 * time.Second
	tick      = 5 * time.Millisecond
)

// refuse appends while a cause lasts, ends the cause, appends again, and says what is wrong
// with that: what was refused must not be in the log, and the next append must.
func refuse(t *testing.T, pool *pgxpool.Pool, store eventstore.Store, expected eventstore.ExpectedVersion, end func()) (findings []string, refusal error) {
	t.Helper()
	before := countEvents(t, pool)
	request := oneEvent("order-1")
	request.Writes[0].Expected = expected
	_, refusal = store.Append(t.Context(), request)
	end()
	if refusal == nil {
		findings = append(findings, "it was not refused")
	}
	if countEvents(t, pool) != before {
		findings = append(findings, "what was refused is in the log")
	}
	before = countEvents(t, pool)
	receipt, err := store.Append(t.Context(), request)
	if err != nil || countEvents(t, pool) != before+1 || receipt.Token.Position != before+1 {
		findings = append(findings, "the next append was not made")
	}
	return findings, refusal
}

// countEvents asks by plain SQL, not by the code under test.
func countEvents(t *testing.T, pool *pgxpool.Pool) (count eventstore.Position) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM leftfold.events").Scan(&count))
	return count
}

// lockElsewhere holds the lock of the store in a transaction of somebody else, until it is
// told to end.
func lockElsewhere(t *testing.T, pool *pgxpool.Pool, store *postgres.Store) (end func()) {
	t.Helper()
	holder, err := pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = holder.Rollback(context.Background()) }) // or the pool could not be closed
	require.NoError(t, store.LockIn(t.Context(), holder))
	return func() { require.NoError(t, holder.Rollback(t.Context())) }
}

func TestAnAppendThatCannotHaveTheLockIsRefused(t *testing.T) {
	pool := newPool(t)
	store := openOn(t, impatient(t, pool), postgres.Options{})
	for _, version := range []eventstore.ExpectedVersion{eventstore.Any, eventstore.Exactly(1)} { // as a batch, and alone
		findings, err := refuse(t, pool, store, version, lockElsewhere(t, pool, store))
		require.ErrorIs(t, err, eventstore.ErrStoreBusy)
		require.NotErrorIs(t, err, postgres.ErrUnavailable)
		require.ErrorContains(t, err, "commit at once")
		require.Equal(t, "55P03", stateOf(err))
		require.Empty(t, findings)
	}
}

// impatient makes appends wait for the lock of the store for a moment only, not for 5 s.
func impatient(t *testing.T, pool *pgxpool.Pool) *pgxpool.Pool {
	t.Helper()
	config := pool.Config()
	config.ConnConfig.RuntimeParams["lock_timeout"] = "200ms"
	limited, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(limited.Close)
	return limited
}

func stateOf(err error) string {
	failure, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return ""
	}
	return failure.Code
}

func TestAnAppendThatTakesLongerThanAStatementMayIsRefused(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	limited := withSetting(t, pool, "statement_timeout", "600ms")
	store := openOn(t, limited, postgres.Options{})
	for _, version := range []eventstore.ExpectedVersion{eventstore.Any, eventstore.Exactly(1)} {
		findings, err := refuse(t, pool, store, version, lockElsewhere(t, pool, store))
		require.ErrorIs(t, err, eventstore.ErrStoreBusy)
		require.NotErrorIs(t, err, postgres.ErrUnavailable)
		require.ErrorContains(t, err, "statement_timeout")
		require.Equal(t, "57014", stateOf(err))
		require.Empty(t, findings)
	}
}

// withSetting gives the database a default for new connections, and returns a pool of such.
func withSetting(t *testing.T, pool *pgxpool.Pool, setting, value string) *pgxpool.Pool {
	t.Helper()
	_, err := pool.Exec(t.Context(), "ALTER DATABASE "+pool.Config().ConnConfig.Database+" SET "+setting+" = '"+value+"'")
	require.NoError(t, err)
	config := pool.Config()
	config.ConnConfig.RuntimeParams["application_name"] = "limited"
	limited, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(limited.Close)
	return limited
}

// A store that appends and says that it did not must be caught by the check.
func TestMutantThatRefusesWhatItHasAppendedIsCaught(t *testing.T) {
	pool := newPool(t)
	store := openOn(t, pool, postgres.Options{})
	findings, err := refuse(t, pool, &pessimist{Store: store}, eventstore.Any, func() {})
	require.ErrorIs(t, err, eventstore.ErrStoreBusy)
	require.Contains(t, findings, "what was refused is in the log")
}

// pessimist takes its first answer for lost, and a lost answer for a refusal.
type pessimist struct {
	*postgres.Store
	appends int
}

func (p *pessimist) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	receipt, err := p.Store.Append(ctx, request)
	if p.appends++; p.appends == 1 && err == nil {
		return eventstore.Receipt{}, postgres.ErrUnavailable
	}
	return receipt, err
}

// A transaction that has appended and pauses holds up everybody, until the server ends it.
func TestATransactionThatPausesTooLongIsEndedAndOthersGoOn(t *testing.T) {
	pool := newPool(t)
	store := openOn(t, pool, postgres.Options{})
	tx, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = store.In(tx).Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SET LOCAL idle_in_transaction_session_timeout = '200ms'")
	require.NoError(t, err)

	receipt, err := store.Append(t.Context(), oneEvent("order-2"))
	require.NoError(t, err, "it waits until the transaction has been ended")
	require.EqualValues(t, 1, receipt.Token.Position)
	_, err = store.In(tx).Append(t.Context(), oneEvent("order-1"))
	require.ErrorIs(t, err, postgres.ErrUnavailable)
	require.Equal(t, "25P03", stateOf(err), "the fault has happened")
	require.Error(t, tx.Commit(t.Context()))
	require.EqualValues(t, 1, countEvents(t, pool))
}

func TestAStoreGoesOnAfterItsIdleConnectionsHaveBeenEnded(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	store := openOn(t, withSetting(t, pool, "idle_session_timeout", "1200ms"), postgres.Options{})
	_, err := store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	require.EqualValues(t, 1, headOf(t, store))
	require.Eventually(t, func() bool {
		var connections int
		err := pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'limited'").Scan(&connections)
		return err == nil && connections == 0
	}, waitLimit, tick)

	require.EqualValues(t, 1, headOf(t, store))
	_, err = store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	require.EqualValues(t, 2, countEvents(t, pool))
}

// small is a store on a server that takes few connections.
type small struct {
	admin   *pgxpool.Pool // one connection, that is never given back
	store   *postgres.Store
	refused chan struct{} // closed when the store was refused a connection
	taken   []*pgx.Conn
	url     string
}

func newSmall(t *testing.T) *small {
	t.Helper()
	newPool(t) // skips, or fails, where there is no Postgres
	server, err := testservers.StartPostgres(t.Context(), testservers.PostgresOptions{Settings: map[string]string{"max_connections": "12"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	s := &small{url: server.URL("postgres"), refused: make(chan struct{})}
	config, err := pgxpool.ParseConfig(s.url)
	require.NoError(t, err)
	config.MaxConns, config.MinConns = 1, 1
	s.admin, err = pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(s.admin.Close)
	_, err = postgres.Migrate(t.Context(), s.admin, postgres.MigrateOptions{})
	require.NoError(t, err)
	told := false
	s.store = throughProxy(t, s.admin, func(f pgproxy.Frame) pgproxy.Action {
		if !told && !f.FromClient && f.Type == pgproxy.ErrorResponse && bytes.Contains(f.Payload, []byte("53300")) {
			told = true
			close(s.refused)
		}
		return pgproxy.Forward
	})
	t.Cleanup(s.free)
	return s
}

// takeAll ends the connections of everybody else, and takes all there are.
func (s *small) takeAll(t *testing.T) {
	t.Helper()
	_, err := s.admin.Exec(t.Context(), "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
	require.NoError(t, err)
	for {
		conn, err := pgx.Connect(t.Context(), s.url)
		if err != nil {
			require.Equal(t, "53300", stateOf(err))
			return
		}
		s.taken = append(s.taken, conn)
	}
}

func (s *small) free() {
	for _, conn := range s.taken {
		_ = conn.Close(context.Background()) // it was only held
	}
	s.taken = nil
}

func TestWithoutAFreeConnectionAStoreCannotBeOpened(t *testing.T) {
	t.Parallel()
	s := newSmall(t)
	s.takeAll(t)
	_, err := postgres.Open(t.Context(), poolOn(t, s.url), postgres.Options{})
	require.ErrorIs(t, err, postgres.ErrUnavailable)
	require.ErrorContains(t, err, "raise max_connections")
	s.free()
	require.Eventually(t, func() bool { // the server takes its time to see that they are free
		store, err := postgres.Open(t.Context(), poolOn(t, s.url), postgres.Options{})
		return err == nil && store.Close(t.Context()) == nil
	}, waitLimit, tick)
}

// The first append is sent through a connection that is gone, and nobody can be asked what
// became of it. The next ones are not sent.
func TestAStoreThatIsRefusedAConnectionRefusesAppendsUntilItGetsOne(t *testing.T) {
	t.Parallel()
	s := newSmall(t)
	_, err := s.store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	s.store.SetPatience(time.Minute, 3*time.Second, 200*time.Millisecond) // a busy server takes its time to refuse
	s.takeAll(t)
	_, err = s.store.Append(t.Context(), oneEvent("order-1"))
	require.ErrorIs(t, err, eventstore.ErrOutcomeUnknown)
	require.NotErrorIs(t, err, eventstore.ErrStoreBusy, "which would mean that it was not appended")

	findings, err := refuse(t, s.admin, s.store, eventstore.Any, func() {
		_, err := s.store.Head(t.Context())
		require.ErrorIs(t, err, postgres.ErrUnavailable)
		s.free()
		s.store.SetPatience(time.Minute, time.Minute, time.Minute)
	})
	require.ErrorIs(t, err, postgres.ErrUnavailable)
	require.NotErrorIs(t, err, eventstore.ErrOutcomeUnknown)
	require.ErrorContains(t, err, "raise max_connections")
	require.Empty(t, findings)
	<-s.refused
}

func TestAStoreThatIsRefusedAConnectionWaitsForOne(t *testing.T) {
	t.Parallel()
	s := newSmall(t)
	_, err := s.store.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
	s.takeAll(t)
	answer := make(chan error, 1)
	go func() {
		_, err := s.store.Append(t.Context(), oneEvent("order-1"))
		answer <- err
	}()
	<-s.refused
	require.Empty(t, answer)
	s.free()
	require.NoError(t, <-answer)
	require.EqualValues(t, 2, countEvents(t, s.admin))
}
