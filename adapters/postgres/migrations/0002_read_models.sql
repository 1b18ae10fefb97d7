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

-- How far each generation has applied the log of each source store. A checkpoint moves in the
-- transaction that writes the rows, by compare-and-set. A page has room for many moves, so that
-- they touch no index.
CREATE TABLE leftfold.checkpoints (
	name        text COLLATE "C" NOT NULL,
	version     bigint           NOT NULL,
	store_id    uuid             NOT NULL,
	incarnation integer          NOT NULL,
	position    bigint           NOT NULL,
	anchor_id   uuid             NOT NULL, -- the event at the position; zero at position 0
	fence       bigint           NOT NULL,
	PRIMARY KEY (name, version, store_id)
) WITH (fillfactor = 20);

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

REVOKE ALL ON leftfold.read_models, leftfold.checkpoints FROM PUBLIC;
REVOKE ALL ON FUNCTION leftfold.share FROM PUBLIC;

INSERT INTO leftfold.migrations (number, name, oldest) VALUES (2, 'read models', 1);
