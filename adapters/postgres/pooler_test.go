package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/internal/testservers"
)

// The whole suite, through PgBouncer in transaction mode: two connections to the server are
// shared by all of ours, nothing prepared survives a transaction, and no notification comes.
func TestTortureConformanceThroughPgBouncer(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	bouncer, err := testservers.StartPgBouncer(t.Context(), server, testservers.PgBouncerOptions{Mode: "transaction", PoolSize: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bouncer.Stop(context.Background())) })
	through := poolOn(t, bouncer.URL(pool.Config().ConnConfig.Database)+"&default_query_exec_mode=exec&pool_max_conns=50")
	eventstoretest.RunWith(t, func(t testing.TB) eventstore.Store {
		return openOn(t, through, postgres.Options{Schema: newSchema(t, pool)})
	}, eventstoretest.Options{Divisor: 30})
}

func TestBehindPgBouncerADirectConnectionListens(t *testing.T) {
	pool := newPool(t)
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	bouncer, err := testservers.StartPgBouncer(t.Context(), server, testservers.PgBouncerOptions{Mode: "transaction", PoolSize: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bouncer.Stop(context.Background())) })
	direct := pool.Config().ConnConfig
	for name, listen := range map[string]postgres.Options{"polling": {}, "listening": {Listen: direct}} {
		t.Run(name, func(t *testing.T) {
			store := openOn(t, poolOn(t, bouncer.URL(direct.Database)), listen)
			rival := openOn(t, pool, postgres.Options{})
			before := headOf(t, store)
			woken := make(chan error, 1)
			go func() { woken <- store.WaitAppended(t.Context(), before) }()
			if listen.Listen != nil {
				require.Eventually(t, func() bool { return sessions(t, pool, `LISTEN "leftfold"`) == 1 }, postgres.TestPatience, postgres.TestStep)
			}
			var all sync.WaitGroup
			errs := make([]error, 8)
			for n := range errs {
				all.Go(func() {
					_, errs[n] = rival.Append(t.Context(), oneEvent(eventstore.NewStreamID("order", fmt.Sprint(n))))
				})
			}
			all.Wait()
			require.NoError(t, errors.Join(errs...))
			require.NoError(t, <-woken)
			if listen.Listen == nil {
				require.Eventually(t, func() bool { return sessions(t, pool, `LISTEN "leftfold"`) == 0 }, postgres.TestPatience, postgres.TestStep) // the other case's may be ending
			}
		})
	}
}

func TestPgBouncerInStatementModeIsRefusedByName(t *testing.T) {
	pool := newPool(t)
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	bouncer, err := testservers.StartPgBouncer(t.Context(), server, testservers.PgBouncerOptions{Mode: "statement", PoolSize: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bouncer.Stop(context.Background())) })
	through := poolOn(t, bouncer.URL(pool.Config().ConnConfig.Database))
	_, err = postgres.Open(t.Context(), through, postgres.Options{})
	require.ErrorIs(t, err, postgres.ErrUnsupportedServer)
	require.ErrorContains(t, err, "pool_mode")
	_, err = postgres.Migrate(t.Context(), through, postgres.MigrateOptions{Schema: "other"})
	require.ErrorIs(t, err, postgres.ErrUnsupportedServer)
}

// A proxy takes no settings of ours, so those of the database hold.
func TestBehindAProxyTheDefaultIsolationOfTheDatabaseIsNamed(t *testing.T) {
	pool := newPool(t)
	name := pool.Config().ConnConfig.Database
	_, err := pool.Exec(t.Context(), "ALTER DATABASE "+name+" SET default_transaction_isolation = 'repeatable read'")
	require.NoError(t, err)
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	bouncer, err := testservers.StartPgBouncer(t.Context(), server, testservers.PgBouncerOptions{Mode: "transaction", PoolSize: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bouncer.Stop(context.Background())) })
	_, err = openOn(t, poolOn(t, bouncer.URL(name)), postgres.Options{}).Append(t.Context(), oneEvent("order-1"))
	require.ErrorIs(t, err, postgres.ErrIsolation)
	require.ErrorContains(t, err, "default_transaction_isolation")
	direct := openOn(t, poolOn(t, server.URL(name)), postgres.Options{})
	_, err = direct.Append(t.Context(), oneEvent("order-1"))
	require.NoError(t, err)
}

func TestADatabaseThatIsNotUTF8IsRefusedByName(t *testing.T) {
	pool := newPool(t)
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	for _, encoding := range []string{"LATIN1", "SQL_ASCII", "EUC_JP"} {
		t.Run(encoding, func(t *testing.T) {
			name := pool.Config().ConnConfig.Database + "_" + strings.ToLower(encoding)
			_, err := pool.Exec(t.Context(), "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING '"+encoding+"' LC_COLLATE 'C' LC_CTYPE 'C'")
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, server.DropDatabase(context.Background(), name)) })
			other := poolOn(t, server.URL(name))
			_, err = postgres.Migrate(t.Context(), other, postgres.MigrateOptions{})
			require.ErrorIs(t, err, postgres.ErrUnsupportedServer)
			require.ErrorContains(t, err, encoding)
		})
	}
}

func TestTheClientEncodingOfTheRoleDoesNotMatter(t *testing.T) {
	pool := newPool(t)
	config := pool.Config()
	_, err := pool.Exec(t.Context(), "ALTER DATABASE "+config.ConnConfig.Database+" SET client_encoding = 'LATIN1'")
	require.NoError(t, err)
	fresh, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(fresh.Close)
	store := openOn(t, fresh, postgres.Options{})
	_, err = store.Append(t.Context(), oneEvent("order-\u00fc\u672c"))
	require.NoError(t, err)
	err = store.Transact(t.Context(), fresh, func(ctx context.Context, _ pgx.Tx, log eventstore.Store) error {
		_, err := log.Append(ctx, oneEvent("order-\u00fc\u672c"))
		return err
	})
	require.ErrorIs(t, err, postgres.ErrUnsupportedServer)
	require.ErrorContains(t, err, "LATIN1")
}
