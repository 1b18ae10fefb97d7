package postgres_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
)

// The functions run with the rights of their owner, and append and append_one do not set the
// search path, they look at it. A role that may append gives everything that they name a meaning
// of its own, in a schema and among its temporary objects, and calls them under every search
// path that leads there, then under the right one, in the same session: what was compiled and
// planned the first time is kept.
func TestNothingOfTheCallersRunsWithTheRightsOfTheOwner(t *testing.T) {
	t.Parallel()
	h := newHijack(t)
	for name, call := range h.calls {
		require.Empty(t, h.attack(t, call), name)
	}
}

const pathCheck = "pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.<>) 'pg_catalog, pg_temp'"

func TestMutantsThatRunWhatIsTheCallersAreCaught(t *testing.T) {
	t.Parallel()
	h := newHijack(t)
	for _, mutant := range []struct{ function, old, made string }{
		{"append", pathCheck, "false"},
		{"append_one", pathCheck, "false"},
		{"append", pathCheck, "pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.!~~) 'pg_catalog%'"}, // only how it begins
		{"append_one", pathCheck, "pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.!~~) 'pg_catalog%'"},
		{"append", "OPERATOR(pg_catalog.<>)", "<>"},
		{"append_one", "OPERATOR(pg_catalog.<>)", "<>"},
		{"append", "pg_catalog.current_setting('search_path')", "current_setting('search_path')"},
		{"append_one", "pg_catalog.current_setting('search_path')", "current_setting('search_path')"},
		{"append", "nothing pg_catalog.text", "nothing text"}, // compiled under the first path, and kept
		{"append_one", "nothing pg_catalog.text", "nothing text"},
		{"append", "cluster pg_catalog.text", "cluster text"},
		{"settle", "SET search_path TO 'pg_catalog', 'pg_temp'", ""},
		{"lock", "SET search_path TO 'pg_catalog', 'pg_temp'", ""},
		{"set_inline", "SET search_path TO 'pg_catalog', 'pg_temp'", ""},
		{"adopt", "SET search_path TO 'pg_catalog', 'pg_temp'", ""},
	} {
		h.withMutant(t, mutant.function, mutant.old, mutant.made, func() {
			require.NotEmpty(t, h.attack(t, h.calls[mutant.function]), "%s: %q", mutant.function, mutant.made)
		})
	}
	h.withMutant(t, "append", pathCheck, "false", func() {
		require.Empty(t, h.attack(t, h.calls["append_in"]), "it sets the path")
		h.withMutant(t, "append_in", "SET search_path TO 'pg_catalog', 'pg_temp'", "", func() {
			require.NotEmpty(t, h.attack(t, h.calls["append_in"]))
		})
	})
}

// hijack is a store, and a role that may append and lays traps.
type hijack struct {
	roles
	calls map[string]hijackCall
}

// hijackCall is a call of a function as our client makes it, and whether it works under any path.
type hijackCall struct {
	sql        func() string
	anySession bool
}

func newHijack(t *testing.T) hijack {
	t.Helper()
	h := hijack{roles: newRoles(t)}
	_, err := h.owner.Exec(t.Context(), "CREATE SCHEMA evil AUTHORIZATION appender")
	require.NoError(t, err)
	trapper, err := h.as["appender"].Acquire(t.Context())
	require.NoError(t, err)
	defer trapper.Release()
	layTraps(t, trapper.Conn(), "GRANT USAGE ON SCHEMA evil TO PUBLIC;"+layTypes, "evil")
	layTraps(t, trapper.Conn(), layFunctions, "evil")
	streams := 0
	stream := func() eventstore.StreamID {
		streams++
		return eventstore.NewStreamID("order", fmt.Sprint(streams))
	}
	batch := func(function string) func() string {
		return func() string {
			b := two("-1") // a command, conditions, tags
			b.rename(stream())
			b.events[1].stream, b.events[1].key = b.events[0].stream, b.events[0].key
			b.writes[1].expected = "99" // one append is skipped
			return b.sql(function)
		}
	}
	h.calls = map[string]hijackCall{
		"append":     {batch("append"), false},
		"append_in":  {batch("append_in"), true},
		"append_one": {func() string { return honestOne(stream(), 0).sql() }, true},
		"settle": {func() string {
			return "SELECT leftfold.settle(md5('')::uuid, 1, 0, ARRAY[md5('')::uuid], ARRAY[md5('')::uuid])"
		}, true},
		"lock":       {func() string { return "SELECT leftfold.lock()" }, true},
		"set_inline": {func() string { return "SELECT leftfold.set_inline(0)" }, true},
		"adopt":      {func() string { return "SELECT leftfold.adopt()" }, true},
	}
	_, err = openOn(t, h.owner, postgres.Options{}).Append(t.Context(), oneEvent(stream())) // append_one declines on an empty log
	require.NoError(t, err)
	return h
}

// sprung is the SQLSTATE of a trap that runs with rights that are not its owner's.
const sprung = "HJ001"

// attack calls the function under one path after the other, and returns what has run with
// other rights than the caller's.
func (h hijack) attack(t *testing.T, call hijackCall) (findings []string) {
	t.Helper()
	const ours = "pg_catalog, pg_temp"
	for _, path := range []string{
		"evil", "evil, pg_catalog", "pg_catalog, evil", "pg_catalog, pg_temp, evil", "evil, pg_catalog, pg_temp", "pg_temp, pg_catalog", "pg_temp", ours,
	} {
		conn, err := pgx.ConnectConfig(t.Context(), h.as["appender"].Config().ConnConfig)
		require.NoError(t, err)
		layTraps(t, conn, layTypes, "pg_temp") // functions and operators are never looked up there
		for _, under := range []string{path, ours, path, ours} {
			sql := call.sql()
			require.NoError(t, conn.PgConn().Exec(t.Context(), "SET search_path = "+under).Close())
			err := conn.PgConn().Exec(t.Context(), sql).Close()
			if stateOf(err) == sprung {
				findings = append(findings, fmt.Sprintf("under %s, then %s: %v", path, under, err))
			} else if under == ours || call.anySession {
				require.NoError(t, err, "under %s, then %s: %s", path, under, sql) // else it proves nothing
			}
		}
		require.NoError(t, conn.Close(t.Context()))
	}
	return findings
}

func (h hijack) withMutant(t *testing.T, function, old, made string, f func()) {
	t.Helper()
	var original string
	require.NoError(t, h.owner.QueryRow(t.Context(), "SELECT pg_get_functiondef($1::regproc)", "leftfold."+function).Scan(&original))
	mutate(t, h.owner, function, old, made)
	f()
	_, err := h.owner.Exec(t.Context(), original)
	require.NoError(t, err)
}

// layTypes gives types and tables of the names that our functions use to a schema. To use such a
// type is an error of a SQLSTATE of its own where it happens with other rights than those of who
// is logged in.
const layTypes = `
SET search_path = pg_catalog;
CREATE FUNCTION traps.spring(what text) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $trap$
BEGIN
	IF current_user <> session_user THEN
		RAISE EXCEPTION USING ERRCODE = 'HJ001', MESSAGE = format('%s has run as %s', what, current_user);
	END IF;
	RETURN true;
END $trap$;
CREATE DOMAIN traps.text        AS pg_catalog.text        CHECK (traps.spring('the type text'));
CREATE DOMAIN traps.timestamptz AS pg_catalog.timestamptz CHECK (traps.spring('the type timestamptz'));
CREATE DOMAIN traps.json        AS pg_catalog.json        CHECK (traps.spring('the type json'));
CREATE DOMAIN traps.oid         AS pg_catalog.oid         CHECK (traps.spring('the type oid'));
CREATE DOMAIN traps.regclass    AS pg_catalog.regclass    CHECK (traps.spring('the type regclass'));
CREATE TABLE traps.events (); CREATE TABLE traps.store (); CREATE TABLE traps.fences ();
RESET search_path`

// layFunctions does so for every function, aggregate and operator: with the parameters that
// Postgres's own has, and with types of ours in the place of any type.
const layFunctions = `
SET search_path = pg_catalog;
DO $do$
DECLARE
	ours text := (SELECT string_agg(prosrc, ' ') FROM pg_proc WHERE pronamespace = 'leftfold'::regnamespace);
	made integer := 0;
	f    record;
	run  text;
BEGIN
	FOR f IN
		SELECT DISTINCT p.kind, p.name, p.setof, fit.args, fit.returns
		FROM (
			SELECT prokind AS kind, proname AS name, proretset AS setof, format_type(prorettype, NULL) AS returns,
				coalesce((SELECT string_agg(format_type(a.type, NULL), ', ' ORDER BY a.n) FROM unnest(proargtypes) WITH ORDINALITY AS a(type, n)), '') AS args
			FROM pg_proc
			WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind IN ('f', 'a') AND ours ~ ('\m' || proname || '\M')
			UNION ALL
			SELECT 'o', oprname, false, format_type(oprresult, NULL), CASE oprleft WHEN 0 THEN '' ELSE format_type(oprleft, NULL) || ', ' END || format_type(oprright, NULL)
			FROM pg_operator
			WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprname IN ('=', '<>', '<', '>', '<=', '>=', '+', '-', '*', '||')
		) p
		CROSS JOIN unnest(ARRAY['any', 'integer', 'bigint', 'uuid', 'text']) AS type
		CROSS JOIN LATERAL (SELECT
			regexp_replace(regexp_replace(p.args, '\many(compatible)?array\M', type || '[]', 'g'), '"any"|\many(compatible|element|nonarray)+\M', type, 'g') AS args,
			regexp_replace(regexp_replace(p.returns, '\many(compatible)?array\M', type || '[]', 'g'), '"any"|\many(compatible|element|nonarray)+\M', type, 'g') AS returns) fit
		WHERE type <> 'any' OR p.args !~ '\many'
	LOOP
		run := quote_ident('run_' || f.name);
		BEGIN
			IF f.kind = 'f' THEN
				EXECUTE format($sql$ CREATE FUNCTION traps.%I(%s) RETURNS %s%s LANGUAGE plpgsql AS $body$ BEGIN PERFORM traps.spring(%L); RETURN%s; END $body$ $sql$,
					f.name, f.args, CASE WHEN f.setof THEN 'SETOF ' END, f.returns, 'the function ' || f.name, CASE WHEN NOT f.setof AND f.returns <> 'void' THEN ' NULL' END);
			ELSIF f.kind = 'a' THEN
				EXECUTE format($sql$ CREATE FUNCTION traps.%s(bigint%s) RETURNS bigint LANGUAGE plpgsql AS $body$ BEGIN PERFORM traps.spring(%L); RETURN 1; END $body$ $sql$,
					run, ', ' || nullif(f.args, ''), 'the aggregate ' || f.name);
				EXECUTE format('CREATE AGGREGATE traps.%I(%s) (SFUNC = traps.%s, STYPE = bigint)', f.name, coalesce(nullif(f.args, ''), '*'), run);
			ELSE
				EXECUTE format($sql$ CREATE FUNCTION traps.%s(%s) RETURNS %s LANGUAGE plpgsql AS $body$ BEGIN PERFORM traps.spring(%L); RETURN NULL; END $body$ $sql$,
					run, f.args, f.returns, 'the operator ' || f.name);
				EXECUTE format('CREATE OPERATOR traps.%s (FUNCTION = traps.%s, %sRIGHTARG = %s)',
					f.name, run, 'LEFTARG = ' || substring(f.args FROM '^(.*), ') || ', ', substring(f.args FROM '[^,]*$'));
			END IF;
			made := made + 1;
		EXCEPTION WHEN invalid_function_definition OR duplicate_function OR feature_not_supported OR syntax_error OR undefined_object OR datatype_mismatch THEN
			NULL; -- of a kind that only Postgres can make
		END;
	END LOOP;
	IF made < 300 THEN
		RAISE EXCEPTION '% traps', made;
	END IF;
END $do$;
RESET search_path`

// layTraps executes one of these.
func layTraps(t *testing.T, conn *pgx.Conn, text, schema string) {
	t.Helper()
	require.NoError(t, conn.PgConn().Exec(t.Context(), strings.ReplaceAll(text, "traps.", schema+".")).Close())
}
