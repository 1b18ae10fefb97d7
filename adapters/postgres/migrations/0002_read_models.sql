-- Read models, beside the log or in a schema of their own whose log stays empty. Their rows
-- are in tables of their own, view_<name>_<version>, which a sink makes when a view is opened. The
-- SQL view live_<name> shows the table of the generation that is live.

-- One row per generation. The hash is that of the definition that made the rows: the same
-- generation with another hash is refused.
CREATE TABLE leftfold.read_models (
	name      text COLLATE "C" NOT NULL,
	version   bigint           NOT NULL,
	hash      text             NOT NULL,
	stage     text COLLATE "C" NOT NULL CHECK (stage IN ('building', 'live', 'kept')),
	unindexed integer          NOT NULL, -- how many of its indexes are still to be made
	PRIMARY KEY (name, version)
);

-- Of a name exactly one generation is live: of two that are opened first, the second one waits
-- here, and is built.
CREATE UNIQUE INDEX one_is_live ON leftfold.read_models (name) WHERE stage = 'live';

-- How far each generation has applied the log of each source store, a row for each segment of
-- its keys, and who holds it. The checkpoint in it moves in the transaction that writes the
-- rows, by compare-and-set. A page has room for many moves, so that they touch no index.
CREATE TABLE leftfold.segments (
	name        text COLLATE "C" NOT NULL,
	version     bigint           NOT NULL,
	store_id    uuid             NOT NULL,
	first_slice smallint         NOT NULL,
	end_slice   smallint         NOT NULL, -- not one of them
	incarnation integer          NOT NULL,
	position    bigint           NOT NULL,
	anchor_id   uuid             NOT NULL, -- the event at the position; zero at position 0
	fence       bigint           NOT NULL,
	parks       bigint           NOT NULL, -- changes to what is parked
	holder      text             NOT NULL, -- of the lease
	held_until  timestamptz,
	report      text             NOT NULL, -- of the holder, as JSON
	PRIMARY KEY (name, version, store_id, first_slice)
) WITH (fillfactor = 20);

-- The workers of each generation, and until when each is there.
CREATE TABLE leftfold.workers (
	name     text COLLATE "C" NOT NULL,
	version  bigint           NOT NULL,
	store_id uuid             NOT NULL,
	worker   text COLLATE "C" NOT NULL,
	until    timestamptz      NOT NULL,
	PRIMARY KEY (name, version, store_id, worker)
);

-- Keys that are left alone from an event on, because their rows could not be made.
CREATE TABLE leftfold.parked (
	name     text COLLATE "C" NOT NULL,
	version  bigint           NOT NULL,
	store_id uuid             NOT NULL,
	key      text COLLATE "C" NOT NULL,
	position bigint           NOT NULL, -- of the first event that is not applied
	event_id uuid             NOT NULL,
	type     text COLLATE "C" NOT NULL,
	cause    text             NOT NULL,
	at       timestamptz      NOT NULL,
	PRIMARY KEY (name, version, store_id, key)
);

-- share gives the roles that may read, or write, the registry of read models the same right to
-- the table of a view, and to an SQL view that to read. Whoever makes it calls this: only the
-- owner can grant.
CREATE FUNCTION leftfold.share(view regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	granted record;
BEGIN
	FOR granted IN
		SELECT CASE r.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r.grantee)) END AS grantee,
			bool_or(r.privilege_type = 'INSERT' AND v.relkind <> 'v') AS writes
		FROM pg_class c, pg_class v, aclexplode(c.relacl) r
		WHERE v.oid = view AND c.oid = 'leftfold.read_models'::regclass AND r.privilege_type IN ('SELECT', 'INSERT')
		GROUP BY 1
	LOOP
		EXECUTE format('GRANT %s ON %s TO %s', CASE WHEN granted.writes THEN 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE' ELSE 'SELECT' END, view, granted.grantee);
	END LOOP;
END $$;

-- show has the SQL view live_<name> show a table. Where the columns allow it the view is
-- replaced, and what others have built on it stays; else it is dropped and made anew, with the
-- rights that were granted on it. Readers wait for the end of the transaction and then see the
-- other table. Only its owner can change a view.
CREATE FUNCTION leftfold.show(name text, shown regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	target  text := format('leftfold.%I', 'live_' || name);
	present oid  := to_regclass(target);
	listed  text[] := ARRAY(SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = shown AND attnum > 0 AND NOT attisdropped ORDER BY attnum);
	wanted  text[] := ARRAY(SELECT format('%s %s %s', attname, atttypid, attcollation) FROM pg_attribute WHERE attrelid = shown AND attnum > 0 AND NOT attisdropped ORDER BY attnum);
	there   text[] := ARRAY(SELECT format('%s %s %s', attname, atttypid, attcollation) FROM pg_attribute WHERE attrelid = present AND attnum > 0 ORDER BY attnum);
	meaning text := format('VIEW %s AS SELECT %s FROM %s', target, array_to_string(listed, ', '), shown);
	rights  text[];
	grants  text;
BEGIN
	IF present IS NOT NULL AND there = wanted[:cardinality(there)] THEN
		EXECUTE 'CREATE OR REPLACE ' || meaning;
		RETURN;
	END IF;
	IF present IS NULL THEN
		EXECUTE 'CREATE ' || meaning;
		PERFORM leftfold.share(to_regclass(target));
		RETURN;
	END IF;
	rights := ARRAY(
		SELECT format('GRANT %s ON %s TO %s%s', r.privilege_type, target,
			CASE r.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r.grantee)) END, CASE WHEN r.is_grantable THEN ' WITH GRANT OPTION' END)
		FROM pg_class c, aclexplode(c.relacl) r WHERE c.oid = present AND r.grantee <> c.relowner
		UNION ALL
		SELECT format('GRANT %s (%I) ON %s TO %s%s', r.privilege_type, a.attname, target,
			CASE r.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r.grantee)) END, CASE WHEN r.is_grantable THEN ' WITH GRANT OPTION' END)
		FROM pg_attribute a, aclexplode(a.attacl) r WHERE a.attrelid = present AND quote_ident(a.attname) = ANY (listed));
	EXECUTE 'DROP VIEW ' || target;
	EXECUTE 'CREATE ' || meaning;
	FOREACH grants IN ARRAY rights LOOP
		EXECUTE grants;
	END LOOP;
END $$;

-- Appends apply the projections whose segment is held by "inline". They are refused to programs
-- that do not: store.inline_set names them by a number, which append compares. So nobody can
-- pass a read model by.

-- refuse_inline stops an append of a program that would apply others.
CREATE FUNCTION leftfold.refuse_inline() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'LF006', MESSAGE = 'appends to this store must apply its inline projections',
		DETAIL = coalesce((
			SELECT string_agg(format('%s@%s %s', g.name, g.version, m.hash), E'\n')
			FROM leftfold.segments g JOIN leftfold.read_models m ON m.name = g.name AND m.version = g.version
			WHERE g.holder = 'inline'), 'none'),
		HINT = 'Append with the projections that the store applies, or switch the store.';
END $$;

-- at_head stops a transaction that has not moved the checkpoint of an inline projection,
-- because it was not at the head before the append: the rows lack events.
CREATE FUNCTION leftfold.at_head(moved bigint, projection text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF moved <> 1 THEN
		RAISE EXCEPTION USING ERRCODE = 'LF007', MESSAGE = 'the checkpoint of an inline projection is not at the head', DETAIL = projection;
	END IF;
END $$;

-- set_inline names what appends must apply from now on.
CREATE FUNCTION leftfold.set_inline(applies bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	SET lock_timeout = '2s'
AS $$
BEGIN
	PERFORM pg_advisory_xact_lock(1818585702, leftfold.lock_key());
	IF (SELECT s.inline_set FROM leftfold.store s) = -1 OR applies < 0 THEN
		PERFORM leftfold.refuse_import();
	END IF;
	UPDATE leftfold.store s SET inline_set = applies WHERE s.inline_set <> applies;
END $$;

REVOKE ALL ON leftfold.read_models, leftfold.segments, leftfold.workers, leftfold.parked FROM PUBLIC;
REVOKE ALL ON FUNCTION leftfold.share, leftfold.show, leftfold.refuse_inline, leftfold.at_head, leftfold.set_inline FROM PUBLIC;

INSERT INTO leftfold.migrations (number, name, oldest) VALUES (2, 'read models', 1);
