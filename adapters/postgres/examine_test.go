package postgres_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/checkup"
	"github.com/leftfold/leftfold/internal/testservers"
)

// examined returns the findings by their checks.
func examined(t *testing.T, pool *pgxpool.Pool, o postgres.ExamineOptions) map[string]checkup.Finding {
	t.Helper()
	all := map[string]checkup.Finding{}
	for _, f := range postgres.Examine(t.Context(), pool, o) {
		require.NotContains(t, all, f.Check, "told twice")
		all[f.Check] = f
		assert.NotEmpty(t, f.Says, f.Check)
		assert.Equal(t, f.Level == checkup.OK, f.Advice == "", "%+v: what to do is told, if anything is to be done", f)
	}
	return all
}

func finds(t *testing.T, found checkup.Finding, level checkup.Level, says string) {
	t.Helper()
	assert.Equal(t, level, found.Level, "%+v", found)
	assert.Contains(t, found.Says, says)
}

func does(t *testing.T, pool *pgxpool.Pool, statement string) {
	t.Helper()
	_, err := pool.Exec(t.Context(), statement, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
}

// Each check finds what is wrong in turn, and all is well before.
func TestWhatIsWrongWithARoleOrASchemaIsFound(t *testing.T) {
	t.Parallel()
	r := newRoles(t)
	owner := r.owner
	for check, f := range examined(t, r.as["appender"], postgres.ExamineOptions{}) {
		assert.Equal(t, checkup.OK, f.Level, "%s: %s", check, f.Says)
	}
	grants := func(role string, o postgres.ExamineOptions) checkup.Finding {
		return examined(t, r.as[role], o)["grants"]
	}
	finds(t, grants("owner", postgres.ExamineOptions{}), checkup.Warning, "postgres is a superuser")
	finds(t, grants("reader", postgres.ExamineOptions{}), checkup.Warning, "may read the log, and not append")
	finds(t, grants("appender", postgres.ExamineOptions{ReadModels: true}), checkup.Warning, "appender may not keep read models")
	finds(t, examined(t, r.as["stranger"], postgres.ExamineOptions{})["schema"], checkup.Failed, "postgres.Grant")

	does(t, owner, "GRANT USAGE ON SCHEMA leftfold TO stranger; GRANT SELECT ON leftfold.migrations TO stranger")
	finds(t, grants("stranger", postgres.ExamineOptions{}), checkup.Failed, "may not read the log")
	does(t, owner, "GRANT UPDATE, TRUNCATE ON leftfold.events TO appender")
	finds(t, grants("appender", postgres.ExamineOptions{}), checkup.Warning, "rights that it does not need: TRUNCATE on events, UPDATE on events")
	require.NoError(t, postgres.Grant(t.Context(), owner, "", "reader", postgres.ToProject))
	finds(t, grants("reader", postgres.ExamineOptions{ReadModels: true}), checkup.OK, "may keep read models")
	does(t, owner, "CREATE ROLE landlord LOGIN; GRANT landlord TO appender; ALTER TABLE leftfold.events OWNER TO landlord")
	finds(t, grants("appender", postgres.ExamineOptions{}), checkup.Warning, "owns the log")

	does(t, owner, "ALTER TABLE leftfold.events DISABLE TRIGGER events_only_grow")
	finds(t, examined(t, owner, postgres.ExamineOptions{})["append-only"], checkup.Failed, "1 of 4")
	does(t, owner, "ALTER TABLE leftfold.events ENABLE TRIGGER events_only_grow; ALTER ROLE postgres SET session_replication_role = replica")
	finds(t, examined(t, owner, postgres.ExamineOptions{})["append-only"], checkup.Failed, "4 of 4")

	does(t, owner, "ALTER ROLE reader SET synchronous_commit = off; ALTER ROLE reader SET default_transaction_read_only = on")
	finds(t, examined(t, owner, postgres.ExamineOptions{})["settings of roles"], checkup.Warning, "off for role reader")
	finds(t, examined(t, r.as["reader"], postgres.ExamineOptions{})["synchronous_commit"], checkup.Failed, "is off")
	finds(t, examined(t, r.as["reader"], postgres.ExamineOptions{})["standby"], checkup.Warning, "read-only")
	for setting, value := range map[string]string{"statement_timeout": "2s", "idle_in_transaction_session_timeout": "500ms"} {
		does(t, owner, "ALTER ROLE reader SET "+setting+" = '"+value+"'")
		finds(t, examined(t, r.as["reader"], postgres.ExamineOptions{})["timeouts"], checkup.Warning, setting+" is "+value)
		does(t, owner, "ALTER ROLE reader RESET "+setting)
	}

	openOn(t, r.as["owner"], postgres.Options{})
	finds(t, examined(t, owner, postgres.ExamineOptions{})["identity"], checkup.OK, "incarnation 1")
	does(t, owner, "UPDATE leftfold.store SET cluster = '1/00000001'") // as after a restore
	for range 2 {                                                      // it stays so: nothing is changed
		finds(t, examined(t, owner, postgres.ExamineOptions{})["identity"], checkup.Warning, "restored")
	}
	does(t, owner, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC; REVOKE EXECUTE ON FUNCTION pg_control_system() FROM reader")
	finds(t, examined(t, r.as["reader"], postgres.ExamineOptions{})["identity"], checkup.Unknown, "pg_control_system")

	does(t, owner, "DELETE FROM leftfold.migrations WHERE number = 2")
	old := examined(t, owner, postgres.ExamineOptions{})
	finds(t, old["schema"], checkup.Failed, "is at step 1")
	assert.NotContains(t, old, "grants", "nothing is told of a schema that is not this program's")
	does(t, owner, "INSERT INTO leftfold.migrations VALUES (2, 'two', 2), (99, 'of the future', 99)")
	finds(t, examined(t, owner, postgres.ExamineOptions{})["schema"], checkup.Failed, "is at step 99")
	finds(t, examined(t, owner, postgres.ExamineOptions{Schema: "nowhere"})["schema"], checkup.Failed, "nowhere")
	finds(t, examined(t, owner, postgres.ExamineOptions{Schema: "no such"})["schema"], checkup.Failed, "no such")
}

func TestWhatIsWrongWithAServerIsFound(t *testing.T) {
	t.Parallel()
	newPool(t) // skips, or fails, where there is no Postgres
	server, err := testservers.StartPostgres(t.Context(), testservers.PostgresOptions{Settings: map[string]string{
		"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off",
		"wal_level": "minimal", "max_wal_senders": "0", "max_connections": "20",
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	pool := poolOn(t, server.URL("postgres"))
	found := examined(t, pool, postgres.ExamineOptions{})
	for _, setting := range []string{"fsync", "full_page_writes", "synchronous_commit"} {
		finds(t, found[setting], checkup.Failed, "it is off")
		finds(t, examined(t, pool, postgres.ExamineOptions{ReadModels: true})[setting], checkup.Warning, "it is off")
	}
	finds(t, found["standby"], checkup.Warning, "wal_level is minimal")
	finds(t, found["connections"], checkup.Warning, "of 17 connections are free")
	finds(t, found["schema"], checkup.Failed, "postgres.Migrate")

	does(t, pool, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
	does(t, pool, "SELECT pg_reload_conf()")
	require.Eventually(t, func() bool {
		return examined(t, pool, postgres.ExamineOptions{})["standby"].Level == checkup.Failed
	}, postgres.TestPatience, postgres.TestStep)
	does(t, pool, "SET synchronous_commit = off; CREATE ROLE app LOGIN")
	config := pool.Config()
	config.ConnConfig.User = "app"
	app, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(app.Close)
	finds(t, examined(t, app, postgres.ExamineOptions{})["standby"], checkup.Unknown, "may not see whether it is there")

	does(t, pool, "CREATE DATABASE latin ENCODING 'SQL_ASCII' TEMPLATE template0")
	latin := poolOn(t, server.URL("latin"))
	_, err = postgres.Migrate(t.Context(), latin, postgres.MigrateOptions{})
	require.ErrorIs(t, err, postgres.ErrUnsupportedServer)
	does(t, latin, "CREATE SCHEMA leftfold; CREATE TABLE leftfold.migrations AS SELECT 2 AS number, 2 AS oldest")
	finds(t, examined(t, latin, postgres.ExamineOptions{})["schema"], checkup.Failed, "encoded as SQL_ASCII")

	require.NoError(t, server.Stop(context.Background()))
	found = examined(t, pool, postgres.ExamineOptions{})
	assert.Len(t, found, 1)
	finds(t, found["connection"], checkup.Failed, "connect")
}

func TestAProxyIsFound(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	finds(t, examined(t, pool, postgres.ExamineOptions{})["proxy"], checkup.OK, "none")
	server, err := testservers.SharedPostgres()
	require.NoError(t, err)
	for mode, level := range map[string]checkup.Level{"transaction": checkup.Warning, "session": checkup.Warning, "statement": checkup.Failed} {
		bouncer, err := testservers.StartPgBouncer(t.Context(), server, testservers.PgBouncerOptions{Mode: mode, PoolSize: 2})
		require.NoError(t, err)
		through := examined(t, poolOn(t, bouncer.URL(pool.Config().ConnConfig.Database)), postgres.ExamineOptions{})
		assert.Equal(t, level, through["proxy"].Level, "%s: %s", mode, through["proxy"].Says)
		if mode != "statement" {
			finds(t, through["schema"], checkup.OK, "leftfold")
			finds(t, through["fsync"], checkup.OK, "on")
		}
		require.NoError(t, bouncer.Stop(context.Background()))
	}
}
