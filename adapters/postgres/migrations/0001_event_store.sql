-- The event store. The word leftfold stands for the schema that the store was given.

CREATE SCHEMA IF NOT EXISTS leftfold;

-- What has been done to the schema. A program runs on it if it knows the step named oldest.
CREATE TABLE leftfold.migrations (
	number integer     NOT NULL PRIMARY KEY,
	name   text        NOT NULL,
	oldest integer     NOT NULL,
	at     timestamptz NOT NULL DEFAULT now()
);

-- One row: who this store is, and on which life of which cluster it was last opened.
CREATE TABLE leftfold.store (
	only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	id          uuid    NOT NULL,
	incarnation integer NOT NULL CHECK (incarnation > 0),
	cluster     text             -- system identifier and timeline of this life; see adopt()
);

-- Fixed-width columns stand first, so that none is padded. stream_key is the first half of
-- the SHA-256 of stream_id: with it, the index that is read and written at every append is
-- half as large and its comparisons are twice as fast as with the name.
CREATE TABLE leftfold.events (
	position       bigint      NOT NULL,
	version        bigint      NOT NULL,
	recorded_at    timestamptz NOT NULL,
	event_id       uuid        NOT NULL,
	stream_key     uuid        NOT NULL,
	slice          smallint    NOT NULL,
	schema_version smallint    NOT NULL,
	stream_id      text COLLATE "C" NOT NULL,
	type           text COLLATE "C" NOT NULL,
	tags           text COLLATE "C", -- in the order given, one a line; NULL: none
	metadata       bytea,            -- NULL: none
	data           bytea       NOT NULL,
	PRIMARY KEY (position),
	UNIQUE (stream_key, version)
);

-- A row for each tag of an event, none for an event without tags. The primary key answers
-- "which events carry the tag, from this position on".
CREATE TABLE leftfold.event_tags (
	tag      text COLLATE "C" NOT NULL,
	position bigint NOT NULL,
	PRIMARY KEY (tag, position)
);

-- The first receipt of every command, for ever. versions is a JSON object by stream.
CREATE TABLE leftfold.commands (
	command_id  uuid        NOT NULL PRIMARY KEY,
	hash        uuid        NOT NULL,
	position    bigint      NOT NULL,
	versions    text        NOT NULL,
	recorded_at timestamptz NOT NULL
);

-- A writer that had to find out what became of a lost batch forbids the batch here first:
-- requests of its earlier sessions, wherever they still are, are refused from then on. In
-- the normal run nobody writes this table.
CREATE TABLE leftfold.fences (
	writer  uuid        NOT NULL PRIMARY KEY,
	session bigint      NOT NULL, -- the oldest one that may still append
	at      timestamptz NOT NULL
);

-- The log only grows. Roles get no right to change it; this stops the owner's mistakes.
CREATE FUNCTION leftfold.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'LF001',
		MESSAGE = format('%s.%s is append-only: %s refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP),
		HINT = 'Append an event that corrects the facts. Nothing that was recorded is changed or removed.';
END $$;

CREATE TRIGGER events_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON leftfold.events
	FOR EACH STATEMENT EXECUTE FUNCTION leftfold.refuse_change();
CREATE TRIGGER event_tags_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON leftfold.event_tags
	FOR EACH STATEMENT EXECUTE FUNCTION leftfold.refuse_change();
CREATE TRIGGER commands_only_grow BEFORE UPDATE OR DELETE OR TRUNCATE ON leftfold.commands
	FOR EACH STATEMENT EXECUTE FUNCTION leftfold.refuse_change();

-- The one lock of the store. A transaction that holds it is the only one that appends.
CREATE FUNCTION leftfold.lock_key() RETURNS integer LANGUAGE sql STABLE
	RETURN 'leftfold.events'::regclass::oid::integer;

-- What a batch of appends carries. Numbers of appends and of writes count from 1 through the
-- batch; events stand in the order of their positions.
CREATE TYPE leftfold.new_write AS (
	append     integer,
	stream_key uuid,
	expected   bigint,  -- a version, 0: no stream; -1: any; -2: the stream exists
	events     integer, -- how many
	stream_id  text     -- for the receipt; NULL where no command is to be remembered
);
CREATE TYPE leftfold.new_event AS (
	write          integer,
	nth            integer, -- in its write, from 1
	event_id       uuid,
	slice          smallint,
	schema_version smallint,
	stream_id      text,
	type           text,
	tags           text,
	metadata       bytea,
	data           bytea
);
CREATE TYPE leftfold.new_command AS (
	append     integer,
	command_id uuid,
	hash       uuid
);
CREATE TYPE leftfold.new_condition AS ( -- an item of a query; items of one append are alternatives
	append   integer,
	after    bigint,
	untagged boolean, -- some item of the query has no tag
	tags     text[],  -- NULL: any
	types    text[]   -- NULL: any
);

-- matches returns the appends whose conditions do not hold against the log, which ends at
-- head, and why.
--
-- Of several tags the rarest leads: with a tag that half the log carries in front, a
-- condition would walk half the log under the lock. Where few events can match, any leads.
CREATE FUNCTION leftfold.matches(conditions leftfold.new_condition[], head bigint)
	RETURNS TABLE (append integer, reason text, at bigint)
LANGUAGE sql STABLE AS $$
	SELECT DISTINCT ON (m.append) m.append, m.reason, m.position
	FROM (
		SELECT c.append,
			CASE
				WHEN c.after > matches.head THEN 'ahead'
				WHEN c.untagged AND matches.head - c.after > 10000 THEN 'wide'
				ELSE 'matched'
			END AS reason,
			CASE
				WHEN c.after > matches.head OR c.untagged AND matches.head - c.after > 10000 THEN 0
				WHEN c.after = matches.head THEN NULL
				WHEN c.tags IS NULL AND c.types IS NULL THEN c.after + 1 -- positions have no gaps
				WHEN c.tags IS NULL THEN (
					SELECT e.position FROM leftfold.events e
					WHERE e.position > c.after AND e.type = ANY (c.types)
					ORDER BY e.position LIMIT 1)
				ELSE (
					SELECT x.position FROM leftfold.event_tags x
					WHERE x.tag = lead.tag AND x.position > c.after
						AND NOT EXISTS (
							SELECT FROM unnest(c.tags) AS other(tag)
							WHERE other.tag <> lead.tag
								AND NOT EXISTS (SELECT FROM leftfold.event_tags y WHERE y.tag = other.tag AND y.position = x.position))
						AND (c.types IS NULL OR (SELECT e.type FROM leftfold.events e WHERE e.position = x.position) = ANY (c.types))
					ORDER BY x.position LIMIT 1)
			END AS position
		FROM unnest(matches.conditions) c
		CROSS JOIN LATERAL (SELECT CASE
			WHEN cardinality(c.tags) = 1 OR matches.head - c.after <= 1000 THEN c.tags[1]
			ELSE (
				SELECT t.tag FROM unnest(c.tags) AS t(tag)
				ORDER BY (SELECT count(*) FROM (
					SELECT FROM leftfold.event_tags z WHERE z.tag = t.tag AND z.position > c.after LIMIT 64) sample)
				LIMIT 1)
			END AS tag OFFSET 0) lead
	) m
	WHERE m.position IS NOT NULL
$$;

-- remember keeps the receipts of the batch's commands, those of skipped appends excepted.
CREATE FUNCTION leftfold.remember(
	commands leftfold.new_command[], writes leftfold.new_write[], versions bigint[], head bigint, skipped integer[], now timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO leftfold.commands (command_id, hash, position, versions, recorded_at)
	SELECT c.command_id, c.hash, remember.head + made.events, made.versions, remember.now
	FROM unnest(remember.commands) c
	JOIN (
		SELECT w.append,
			coalesce(json_object_agg(w.stream_id, w.version + w.events) FILTER (WHERE w.stream_id IS NOT NULL), '{}')::text AS versions,
			sum(sum(w.events)) OVER (ORDER BY w.append) AS events
		FROM (
			SELECT n.append, n.stream_id, n.events, n.version
			FROM ROWS FROM (unnest(remember.writes), unnest(remember.versions)) AS n(append, stream_key, expected, events, stream_id, version)
			UNION ALL
			SELECT n.append, NULL, 0, NULL FROM unnest(remember.commands) n
		) w
		WHERE remember.skipped IS NULL OR w.append <> ALL (remember.skipped)
		GROUP BY w.append
	) made USING (append);
END $$;

-- refuse_batch stops a call of append that no program of ours makes.
CREATE FUNCTION leftfold.refuse_batch() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'LF004', MESSAGE = 'this is not a batch of appends',
		HINT = 'Append through the package adapters/postgres of Leftfold.';
END $$;

-- append makes a batch of appends durable in the transaction of its caller.
--
-- The lock comes first, as a statement of its own: in a READ COMMITTED transaction each
-- later statement takes its snapshot after it, and so sees every append before this one.
-- At another isolation level the snapshot would be older than the lock.
--
-- Within a batch, which the client puts together, no two appends share a stream or a
-- command id, and no condition matches an event of the batch. So everything can be checked
-- against the log as it is before the batch, by a few statements over all of it. A refused
-- append is answered, not raised: it must not fail its neighbours.
--
-- A batch of a few events goes row by row: to start a statement over sets costs as much as
-- three of the plain ones.
CREATE FUNCTION leftfold.append(
	writer     uuid,   -- NULL: whoever calls will find out what becomes of a lost answer
	session    bigint,
	known      bigint, -- the newest position that the client has seen, to begin with
	writes     leftfold.new_write[],
	events     leftfold.new_event[],
	tagged     boolean, -- some event has a tag
	commands   leftfold.new_command[],
	conditions leftfold.new_condition[],
	OUT incarnation integer,
	OUT head        bigint,    -- before the batch
	OUT versions    bigint[],  -- of the streams of the writes, before the batch; negative: deleted
	OUT skipped     integer[], -- appends that were not made: a version was wrong, or for what follows
	OUT repeated    json,      -- their commands are known: append, position, hash, versions
	OUT refused     json       -- by their conditions: append, reason (ahead, wide or matched), position
) LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	SET enable_seqscan = off -- plans are made while the tables are empty, and kept
	SET enable_bitmapscan = off
	SET jit = off -- such a plan looks dear enough to be compiled, for 40 ms
	SET plan_cache_mode = force_generic_plan -- planning anew costs more than all the rest
	SET lock_timeout = '5s'
AS $$
#variable_conflict use_column
DECLARE
	nothing text;
	now     timestamptz;
	oldest  bigint;
	wrong   integer[];
	few     boolean := cardinality(writes) <= 3 AND cardinality(events) <= 3;
	w       leftfold.new_write;
	e       leftfold.new_event;
	version bigint;
	cluster text;
	total   bigint := 0;
	made    bigint := 0;
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION USING ERRCODE = 'LF002',
			MESSAGE = format('events are appended at READ COMMITTED only, this transaction is %s', upper(current_setting('transaction_isolation'))),
			HINT = 'Begin the transaction at isolation level READ COMMITTED; the lock of the store makes that safe.';
	END IF;
	nothing := pg_advisory_xact_lock(1818585702, leftfold.lock_key());
	now := clock_timestamp();

	-- A backward scan looks at every entry of its index page that matches before it returns the
	-- first, so both searches for the end have a lower bound to begin with.
	SELECT s.incarnation, coalesce(
			(SELECT e.position FROM leftfold.events e WHERE e.position >= known ORDER BY e.position DESC LIMIT 1),
			(SELECT e.position FROM leftfold.events e ORDER BY e.position DESC LIMIT 1), 0),
		(SELECT f.session FROM leftfold.fences f WHERE f.writer = append.writer), s.cluster
	INTO incarnation, head, oldest, cluster FROM leftfold.store s WHERE s.only_row;
	IF (CASE WHEN cluster IS NULL OR pg_is_in_recovery() THEN false ELSE right(cluster, 8) <> left(pg_walfile_name(pg_current_wal_lsn()), 8) END) THEN
		-- A standby was promoted under an open session.
		SELECT a.incarnation INTO incarnation FROM leftfold.adopt() a;
	END IF;
	IF oldest > session THEN
		RAISE EXCEPTION USING ERRCODE = 'LF003', MESSAGE = 'this batch was given up by its writer';
	END IF;

	-- LATERAL and OFFSET 0 hold the planner to one probe of an index for each row: it would
	-- else write a subquery out twice, or read a whole index to join with it.
	IF commands IS NOT NULL THEN
		SELECT json_agg(json_build_object('append', c.append, 'position', k.position, 'hash', k.hash, 'versions', k.versions::json)), array_agg(c.append)
		INTO repeated, skipped
		FROM unnest(commands) c
		CROSS JOIN LATERAL (SELECT k.position, k.hash, k.versions FROM leftfold.commands k WHERE k.command_id = c.command_id OFFSET 0) k;
	END IF;

	IF few THEN
		FOREACH w IN ARRAY writes LOOP
			SELECT CASE e.type WHEN '$stream.deleted' THEN -e.version ELSE e.version END
			INTO version FROM leftfold.events e WHERE e.stream_key = w.stream_key AND e.version >= w.expected ORDER BY e.version DESC LIMIT 1;
			IF version IS NULL AND w.expected > 0 THEN
				SELECT CASE e.type WHEN '$stream.deleted' THEN -e.version ELSE e.version END
				INTO version FROM leftfold.events e WHERE e.stream_key = w.stream_key ORDER BY e.version DESC LIMIT 1;
			END IF;
			version := coalesce(version, 0);
			versions := versions || version;
			total := total + greatest(w.events, 0);
			IF (CASE w.expected WHEN -1 THEN version < 0 WHEN -2 THEN version <= 0 ELSE version <> w.expected END) THEN
				skipped := skipped || w.append;
			END IF;
		END LOOP;
	ELSE
		SELECT array_agg(w.version), array_agg(w.append) FILTER (WHERE CASE w.expected
			WHEN -1 THEN w.version < 0 WHEN -2 THEN w.version <= 0 ELSE w.version <> w.expected END), sum(greatest(w.events, 0))
		INTO versions, wrong, total
		FROM (
			SELECT n.append, n.expected, n.events, coalesce((
				SELECT CASE e.type WHEN '$stream.deleted' THEN -e.version ELSE e.version END
				FROM leftfold.events e WHERE e.stream_key = n.stream_key AND e.version >= n.expected ORDER BY e.version DESC LIMIT 1), CASE WHEN n.expected > 0 THEN (
				SELECT CASE e.type WHEN '$stream.deleted' THEN -e.version ELSE e.version END
				FROM leftfold.events e WHERE e.stream_key = n.stream_key ORDER BY e.version DESC LIMIT 1) END, 0) AS version
			FROM unnest(writes) n OFFSET 0
		) w;
		skipped := skipped || wrong;
	END IF;

	IF conditions IS NOT NULL THEN
		SELECT json_agg(json_build_object('append', m.append, 'reason', m.reason, 'position', m.at)), array_agg(m.append)
		INTO refused, wrong
		FROM leftfold.matches(conditions, head) m;
		skipped := skipped || wrong;
	END IF;

	IF skipped IS NOT NULL THEN -- the others close up
		SELECT coalesce(array_agg(e::leftfold.new_event), '{}') INTO events FROM unnest(events) e WHERE writes[e.write].append <> ALL (skipped);
		SELECT coalesce(sum(greatest(w.events, 0)), 0) INTO total FROM unnest(writes) w WHERE w.append <> ALL (skipped);
	END IF;
	IF total IS DISTINCT FROM cardinality(events) THEN
		PERFORM leftfold.refuse_batch();
	END IF;

	-- What the rows must be like is checked where they are read, because a program with the right
	-- to append may not be ours. With as many events as the writes announce, and each nth within
	-- its write, the unique key leaves no gap in the versions of a stream.
	IF few THEN
		FOR place IN 1..cardinality(events) LOOP
			e := events[place];
			w := writes[e.write];
			IF e.nth BETWEEN 1 AND w.events AND (tagged OR e.tags IS NULL) AND e.slice BETWEEN 0 AND 1023 AND e.schema_version > 0 AND (left(e.type, 1) NOT IN ('', '$') OR e.type = '$stream.deleted') THEN
				INSERT INTO leftfold.events (position, version, recorded_at, event_id, stream_key, slice, schema_version, stream_id, type, tags, metadata, data)
				VALUES (head + place, versions[e.write] + e.nth, now, e.event_id, w.stream_key, e.slice, e.schema_version, e.stream_id, e.type, e.tags, e.metadata, e.data);
				made := made + 1;
			END IF;
		END LOOP;
	ELSE
		INSERT INTO leftfold.events (position, version, recorded_at, event_id, stream_key, slice, schema_version, stream_id, type, tags, metadata, data)
		SELECT head + e.place, versions[e.write] + e.nth, now, e.event_id, (writes[e.write]).stream_key, e.slice, e.schema_version, e.stream_id, e.type, e.tags, e.metadata, e.data
		FROM unnest(events) WITH ORDINALITY AS e(write, nth, event_id, slice, schema_version, stream_id, type, tags, metadata, data, place)
		WHERE e.nth BETWEEN 1 AND (writes[e.write]).events AND (tagged OR e.tags IS NULL) AND e.slice BETWEEN 0 AND 1023 AND e.schema_version > 0 AND (left(e.type, 1) NOT IN ('', '$') OR e.type = '$stream.deleted');
		GET DIAGNOSTICS made = ROW_COUNT;
	END IF;
	IF made <> cardinality(events) THEN
		PERFORM leftfold.refuse_batch();
	END IF;

	IF tagged THEN
		INSERT INTO leftfold.event_tags (tag, position)
		SELECT t.tag, head + e.place
		FROM unnest(events) WITH ORDINALITY AS e(write, nth, event_id, slice, schema_version, stream_id, type, tags, metadata, data, place), string_to_table(e.tags, E'\n') t(tag)
		ORDER BY 1, 2;
	END IF;
	IF commands IS NOT NULL THEN
		PERFORM leftfold.remember(commands, writes, versions, head, skipped, now);
	END IF;
	nothing := pg_notify('leftfold', (head + cardinality(events))::text);
END $$;

-- lock takes the lock of the store for a transaction that appends among other things, and
-- returns the store's id. It waits less long than append does: its transaction may hold locks
-- that others wait for.
CREATE FUNCTION leftfold.lock() RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	SET lock_timeout = '2s'
AS $$
BEGIN
	PERFORM pg_advisory_xact_lock(1818585702, leftfold.lock_key());
	RETURN (SELECT s.id FROM leftfold.store s);
END $$;

-- settle forbids the earlier sessions of a writer, and finds the first events of its writes
-- that are in the log behind a position. Both are one transaction under the lock of the
-- store: a batch of an earlier session is found, or it will never be there.
CREATE FUNCTION leftfold.settle(writer uuid, session bigint, after bigint, event_ids uuid[], stream_keys uuid[])
	RETURNS TABLE (n bigint, at bigint, version bigint)
LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	SET enable_seqscan = off
	SET enable_bitmapscan = off
	SET jit = off
	SET lock_timeout = '5s'
AS $$
#variable_conflict use_column
BEGIN
	PERFORM pg_advisory_xact_lock(1818585702, leftfold.lock_key());
	INSERT INTO leftfold.fences AS f (writer, session, at) VALUES (settle.writer, settle.session, clock_timestamp())
	ON CONFLICT (writer) DO UPDATE SET session = greatest(f.session, excluded.session), at = excluded.at;
	DELETE FROM leftfold.fences f WHERE f.at < clock_timestamp() - interval '30 days'; -- nothing is under way for so long

	IF after > (SELECT coalesce(max(e.position), 0) FROM leftfold.events e) THEN
		after := 0; -- the log was rolled back; look everywhere
	END IF;
	RETURN QUERY
		SELECT ours.n, min(e.position), min(e.version)
		FROM unnest(event_ids, stream_keys) WITH ORDINALITY AS ours(event_id, stream_key, n)
		JOIN leftfold.events e ON e.event_id = ours.event_id AND e.stream_key = ours.stream_key
		WHERE e.position > settle.after
		GROUP BY ours.n;
END $$;

-- adopt returns who the store is, and its head. If the log has come to another cluster (a
-- restored dump) or timeline (a promoted standby) since it was last opened, positions may
-- name other events than they did: then it starts a new incarnation. Its number is a random
-- step up, because two standbys of one primary may both be promoted. Where the server does not
-- tell, only anchors show it.
CREATE FUNCTION leftfold.adopt(OUT id uuid, OUT incarnation integer, OUT head bigint)
LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	SET lock_timeout = '5s'
AS $$
#variable_conflict use_column
DECLARE
	here text;
BEGIN
	IF NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off' THEN
		BEGIN
			here := (SELECT c.system_identifier FROM pg_control_system() c) || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8);
		EXCEPTION WHEN insufficient_privilege OR undefined_function OR feature_not_supported THEN
			NULL;
		END;
		IF here <> coalesce((SELECT s.cluster FROM leftfold.store s), '') THEN
			PERFORM pg_advisory_xact_lock(1818585702, leftfold.lock_key());
			UPDATE leftfold.store s
			SET incarnation = s.incarnation + CASE WHEN s.cluster IS NULL THEN 0 ELSE 1 + (random() * 1000000)::integer END, cluster = here
			WHERE s.cluster IS DISTINCT FROM here;
		END IF;
	END IF;
	SELECT s.id, s.incarnation, coalesce((SELECT max(e.position) FROM leftfold.events e), 0)
	INTO id, incarnation, head FROM leftfold.store s;
END $$;

-- Nobody has a right that was not given; see Grant.
REVOKE ALL ON ALL TABLES IN SCHEMA leftfold FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA leftfold FROM PUBLIC;

INSERT INTO leftfold.store (id, incarnation) VALUES (gen_random_uuid(), 1);
INSERT INTO leftfold.migrations (number, name, oldest) VALUES (1, 'event store', 1);
