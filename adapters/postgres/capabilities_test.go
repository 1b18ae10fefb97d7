package postgres_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/testservers"
)

func TestTheWholeContractIsThereAndPushed(t *testing.T) {
	can := capabilitiesOf(t, openOn(t, newPool(t), postgres.Options{}))
	require.Empty(t, can.Excluded)
	require.Equal(t, eventstore.WholeStore, can.CommandScope)
	require.Equal(t, eventstore.Pushed, can.Wakeups)
	require.False(t, can.ReadOnly || can.Volatile)
	require.Regexp(t, `Postgres \d+.*; schema leftfold is at step \d+$`, strings.Join(can.Notes, "; "))
}

func TestBehindAProxyWakeupsArePolledUnlessADirectConnectionListens(t *testing.T) {
	pool := newPool(t)
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	bouncer, err := testservers.StartPgBouncer(t.Context(), server, testservers.PgBouncerOptions{Mode: "transaction", PoolSize: 2})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, bouncer.Stop(context.Background())) })
	direct := pool.Config().ConnConfig
	through := poolOn(t, bouncer.URL(direct.Database))
	require.Equal(t, eventstore.Polled, capabilitiesOf(t, openOn(t, through, postgres.Options{})).Wakeups)
	require.Equal(t, eventstore.Pushed, capabilitiesOf(t, openOn(t, through, postgres.Options{Listen: direct})).Wakeups)
}

func TestAStandbyIsReadOnlyUntilItIsPromoted(t *testing.T) {
	t.Parallel()
	primary, replica := replicated(t)
	standby := openOn(t, poolOn(t, replica.URL("postgres")), postgres.Options{})
	can := capabilitiesOf(t, standby)
	require.True(t, can.ReadOnly)
	require.Equal(t, eventstore.Polled, can.Wakeups)
	require.NoError(t, primary.StopImmediate(t.Context()))
	require.NoError(t, replica.Promote(t.Context()))
	can = capabilitiesOf(t, standby)
	require.False(t, can.ReadOnly)
	require.Equal(t, eventstore.Pushed, can.Wakeups)
}

func TestARoleThatMayOnlyReadHasAReadOnlyStore(t *testing.T) {
	t.Parallel()
	r := newRoles(t)
	require.True(t, capabilitiesOf(t, openOn(t, r.as["reader"], postgres.Options{})).ReadOnly)
	require.False(t, capabilitiesOf(t, openOn(t, r.as["appender"], postgres.Options{})).ReadOnly)
}

func TestAServerThatMayLoseCommitsIsVolatile(t *testing.T) {
	pool := newPool(t)
	// The setting of the database is as good as that of the server: sessions begin with it.
	_, err := pool.Exec(t.Context(), "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END$$")
	require.NoError(t, err)
	_, err = postgres.Open(t.Context(), pool, postgres.Options{})
	require.ErrorIs(t, err, postgres.ErrNotDurable)
	can := capabilitiesOf(t, openOn(t, pool, postgres.Options{AcceptLoss: true}))
	require.True(t, can.Volatile)
	require.Contains(t, strings.Join(can.Notes, "; "), "before they are on disk")
}

func capabilitiesOf(t *testing.T, store *postgres.Store) eventstore.Capabilities {
	t.Helper()
	can, err := store.Capabilities(t.Context())
	require.NoError(t, err)
	return can
}
