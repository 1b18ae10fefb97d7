package postgres_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/internal/testservers"
)

// roles is a store on a server of its own, because roles belong to the whole server.
type roles struct {
	owner *pgxpool.Pool
	as    map[string]*pgxpool.Pool
}

func newRoles(t *testing.T) roles {
	t.Helper()
	newPool(t) // skips, or fails, where there is no Postgres
	server, err := testservers.StartPostgres(t.Context(), testservers.PostgresOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })
	name, err := server.NewDatabase(t.Context(), "")
	require.NoError(t, err)
	owner := poolOn(t, server.URL(name))
	_, err = postgres.Migrate(t.Context(), owner, postgres.MigrateOptions{})
	require.NoError(t, err)
	r := roles{owner: owner, as: map[string]*pgxpool.Pool{"owner": owner}}
	for role, privileges := range map[string][]postgres.Privilege{
		"appender": {postgres.ToRead, postgres.ToAppend}, "reader": {postgres.ToRead}, "stranger": nil,
	} {
		_, err := owner.Exec(t.Context(), "CREATE ROLE "+role+" LOGIN")
		require.NoError(t, err)
		require.NoError(t, postgres.Grant(t.Context(), owner, "", role, privileges...))
		config := owner.Config()
		config.ConnConfig.User = role
		pool, err := pgxpool.NewWithConfig(t.Context(), config)
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		r.as[role] = pool
	}
	return r
}

func TestRolesGetWhatTheyNeedAndNoMore(t *testing.T) {
	t.Parallel()
	r := newRoles(t)

	appender := openOn(t, r.as["appender"], postgres.Options{})
	request := eventstore.AppendRequest{
		Command: eventstore.Command{ID: eventstore.NewCommandID("place")},
		Writes: []eventstore.Write{{Stream: "order-1", Events: []eventstore.EventData{
			{Type: "order.placed", Tags: []eventstore.Tag{"customer:1"}},
		}}},
		Condition: &eventstore.Condition{FailIf: eventstore.Tagged("customer:1")},
	}
	receipt, err := appender.Append(t.Context(), request)
	require.NoError(t, err)
	again, err := appender.Append(t.Context(), request)
	require.NoError(t, err)
	require.True(t, again.Repeated)
	_, err = appender.DeleteStream(t.Context(), "order-1", eventstore.Any)
	require.NoError(t, err)
	require.NoError(t, appender.WaitAppended(t.Context(), receipt.Token.Position))

	reader := openOn(t, r.as["reader"], postgres.Options{})
	read, err := reader.ReadLog(t.Context(), eventstore.LogQuery{Query: eventstore.Tagged("customer:1")})
	require.NoError(t, err)
	for e, err := range read.Events() {
		require.NoError(t, err)
		require.Equal(t, eventstore.Position(1), e.Position)
	}
	_, err = reader.Append(t.Context(), request)
	require.ErrorIs(t, err, postgres.ErrDenied)

	_, err = postgres.Open(t.Context(), r.as["stranger"], postgres.Options{})
	require.ErrorIs(t, err, postgres.ErrDenied)
}

// The rights of a role end here, with these SQLSTATEs: 42501 insufficient_privilege, LF001
// refused by our triggers. The owner may insert rows: whoever owns a table can drop its
// triggers too, so no program should run as the owner.
func TestAttacksOfEachRoleAreRefused(t *testing.T) {
	t.Parallel()
	r := newRoles(t)
	store := openOn(t, r.owner, postgres.Options{})
	_, err := store.Append(t.Context(), eventstore.AppendRequest{
		Command: eventstore.Command{ID: eventstore.NewCommandID("place")},
		Writes: []eventstore.Write{{Stream: "order-1", Events: []eventstore.EventData{
			{Type: "order.placed", Tags: []eventstore.Tag{"customer:1"}},
		}}},
	})
	require.NoError(t, err)
	const others = "42501"
	for _, attack := range []struct{ sql, owner string }{
		{"UPDATE leftfold.events SET data = '\\x00'", "LF001"},
		{"DELETE FROM leftfold.events", "LF001"},
		{"TRUNCATE leftfold.events", "LF001"},
		{"UPDATE leftfold.event_tags SET tag = 'a:b'", "LF001"},
		{"DELETE FROM leftfold.event_tags", "LF001"},
		{"DELETE FROM leftfold.commands", "LF001"},
		{"UPDATE leftfold.commands SET position = 7", "LF001"},
		{"INSERT INTO leftfold.events SELECT (e).* FROM leftfold.events e ON CONFLICT (position) DO UPDATE SET data = '\\x00'", "LF001"},
		{"INSERT INTO leftfold.events SELECT 999, 999, e.recorded_at, e.event_id, e.stream_key, 1, 1, 'a-b', 'forged', NULL, NULL, '' FROM leftfold.events e", ""},
		{"INSERT INTO leftfold.fences VALUES (gen_random_uuid(), 1, now())", ""},
		{"UPDATE leftfold.store SET incarnation = 9", ""},
		{"UPDATE leftfold.migrations SET oldest = 9", ""},
		{"SELECT * FROM leftfold.events FOR UPDATE", ""},
		{"ALTER TABLE leftfold.events DISABLE TRIGGER ALL", ""},
		{"DROP TABLE leftfold.commands", ""},
		{"CREATE TABLE leftfold.mine ()", ""},
		{"CREATE OR REPLACE FUNCTION leftfold.lock_key() RETURNS integer LANGUAGE sql RETURN 1", ""},
	} {
		for role, want := range map[string]string{"owner": attack.owner, "appender": others, "reader": others, "stranger": others} {
			if want == "" {
				continue // the owner may
			}
			_, err := r.as[role].Exec(t.Context(), attack.sql)
			failure, _ := errors.AsType[*pgconn.PgError](err)
			if assert.NotNil(t, failure, "%s: %s", role, attack.sql) {
				assert.Equal(t, want, failure.Code, "%s: %s: %s", role, attack.sql, failure.Message)
			}
		}
	}
	for _, call := range []struct {
		sql     string
		allowed []string
	}{
		{"SELECT leftfold.adopt()", []string{"owner", "appender", "reader"}},
		{"SELECT leftfold.lock()", []string{"owner", "appender"}},
		{honest().sql("append"), []string{"owner", "appender"}},
		{honest().sql("append_in"), []string{"owner", "appender"}},
		{honestOne("order-2", 0).sql(), []string{"owner", "appender"}},
		{"SELECT leftfold.settle(gen_random_uuid(), 1, 0, '{}', '{}')", []string{"owner", "appender"}},
		{"SELECT leftfold.set_inline(1)", []string{"owner", "appender"}},
		{"SELECT leftfold.at_head(1, 'tallies@1')", []string{"owner"}},
		{"SELECT leftfold.lock_key()", []string{"owner"}},
		{"SELECT leftfold.prune_commands(9, now(), 0, 1)", []string{"owner"}},
		{"SELECT leftfold.matches('{}', '{}', '{}', '{}', '{}', 0)", []string{"owner"}},
		{"SELECT leftfold.remember('{}', '{}', '{}', '{}', '{}', '{}', '{}', 0, NULL, now())", []string{"owner"}},
	} {
		for role := range r.as {
			err := r.try(t, role, call.sql)
			failure, _ := errors.AsType[*pgconn.PgError](err)
			switch {
			case slices.Contains(call.allowed, role):
				assert.NoError(t, err, "%s: %s", role, call.sql)
			case assert.NotNil(t, failure, "%s: %s", role, call.sql):
				assert.Equal(t, others, failure.Code, "%s: %s: %s", role, call.sql, failure.Message)
			}
		}
	}
}

// try runs a statement as the role, and takes back what it did.
func (r roles) try(t *testing.T, role, sql string) error {
	t.Helper()
	tx, err := r.as[role].Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), ourPath)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), sql)
	require.NoError(t, tx.Rollback(t.Context()))
	return err
}

func TestTheNameOfARoleIsQuoted(t *testing.T) {
	text, err := postgres.GrantSQL("", `a"; DROP TABLE x; --`, postgres.ToRead)
	require.NoError(t, err)
	require.Equal(t, 3, strings.Count(text, `"a""; DROP TABLE x; --"`))
	_, err = postgres.GrantSQL("", "a", postgres.Privilege(7))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
}
