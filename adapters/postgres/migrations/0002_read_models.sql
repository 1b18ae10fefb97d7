-- Read models, beside the log or in a schema of their own whose log stays empty. Their rows
-- are in tables of their own, view_<name>_<version>, which a sink makes when a view is opened.

-- One row per generation. The hash is that of the definition that made the rows: the same
-- generation with another hash is refused.
CREATE TABLE leftfold.read_models (
	name    text COLLATE "C" NOT NULL,
	version bigint           NOT NULL,
	hash    text             NOT NULL,
	PRIMARY KEY (name, version)
);

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
-- the table of a view. Whoever makes a view calls it: only the owner of a table can grant.
CREATE FUNCTION leftfold.share(view regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	granted record;
BEGIN
	FOR granted IN
		SELECT CASE r.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r.grantee)) END AS grantee, bool_or(r.privilege_type = 'INSERT') AS writes
		FROM pg_class c, aclexplode(c.relacl) r
		WHERE c.oid = 'leftfold.read_models'::regclass AND r.privilege_type IN ('SELECT', 'INSERT')
		GROUP BY 1
	LOOP
		EXECUTE format('GRANT %s ON %s TO %s', CASE WHEN granted.writes THEN 'SELECT, INSERT, UPDATE, DELETE' ELSE 'SELECT' END, view, granted.grantee);
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
	UPDATE leftfold.store s SET inline_set = applies WHERE s.inline_set <> applies;
END $$;

REVOKE ALL ON leftfold.read_models, leftfold.segments, leftfold.workers, leftfold.parked FROM PUBLIC;
REVOKE ALL ON FUNCTION leftfold.share, leftfold.refuse_inline, leftfold.at_head, leftfold.set_inline FROM PUBLIC;

INSERT INTO leftfold.migrations (number, name, oldest) VALUES (2, 'read models', 1);
