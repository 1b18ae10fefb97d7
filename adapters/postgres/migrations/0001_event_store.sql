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
	cluster     text,            -- system identifier and timeline of this life; see adopt()
	fences      bigint  NOT NULL DEFAULT 0, -- grows with every fence; see settle()
	inline_set  bigint  NOT NULL DEFAULT 0  -- names the projections that appends must apply; 0: none, -1: a log is being imported
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

-- The first receipt of every command, until the owner prunes it. versions is a JSON object by
-- stream.
CREATE TABLE leftfold.commands (
	command_id  uuid        NOT NULL PRIMARY KEY,
	hash        uuid        NOT NULL,
	position    bigint      NOT NULL,
	versions    text        NOT NULL,
	recorded_at timestamptz NOT NULL
);

-- A writer that had to find out what became of a lost batch forbids the batch here first:
-- requests of its earlier sessions, wherever they still are, are refused from then on. An import
-- forbids those of all writers who had the store open before: the row of writer 0, whose session
-- is what fences was. In the normal run nobody writes this table.
CREATE TABLE leftfold.fences (
	writer  uuid        NOT NULL PRIMARY KEY,
	session bigint      NOT NULL, -- the oldest one that may still append
	at      timestamptz NOT NULL
);

-- Saved states of aggregates, a cache: any row may be removed at any time, as those of folds that no
-- program has any more. The table is logged like the others: else it would be empty after each crash
-- of the server, when every program loads its aggregates anew, and could not be read on a standby.
CREATE TABLE leftfold.snapshots (
	store_id    uuid        NOT NULL,
	shape       uuid        NOT NULL, -- of the fold
	event_id    uuid        NOT NULL, -- of the last event that is in the state
	version     bigint      NOT NULL, -- its version
	taken_at    timestamptz NOT NULL DEFAULT now(),
	incarnation integer     NOT NULL,
	stream_id   text COLLATE "C" NOT NULL,
	state       bytea       NOT NULL,
	PRIMARY KEY (store_id, stream_id, shape)
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
CREATE TRIGGER commands_only_grow BEFORE UPDATE OR TRUNCATE ON leftfold.commands
	FOR EACH STATEMENT EXECUTE FUNCTION leftfold.refuse_change();
CREATE TRIGGER commands_are_kept BEFORE DELETE ON leftfold.commands
	FOR EACH STATEMENT WHEN (current_setting('leftfold_commands.prune', true) IS DISTINCT FROM 'on')
	EXECUTE FUNCTION leftfold.refuse_change();

-- The one lock of the store. A transaction that holds it is the only one that appends.
CREATE FUNCTION leftfold.lock_key() RETURNS integer LANGUAGE sql STABLE
	RETURN 'leftfold.events'::regclass::oid::integer;

-- matches returns the appends whose conditions do not hold against the log, which ends at
-- head, and why.
--
-- Of several tags the rarest leads: with a tag that half the log carries in front, a
-- condition would walk half the log under the lock. Where few events can match, any leads.
CREATE FUNCTION leftfold.matches(appends integer[], afters bigint[], untagged boolean[], tags text[], types text[], head bigint)
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
		FROM (
			SELECT n.append, n.after, n.untagged, string_to_array(n.tags, E'\n') AS tags, string_to_array(n.types, E'\n') AS types
			FROM unnest(matches.appends, matches.afters, matches.untagged, matches.tags, matches.types) AS n(append, after, untagged, tags, types) OFFSET 0
		) c
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
	command_appends integer[], command_ids uuid[], command_hashes uuid[],
	appends integer[], counts integer[], stream_ids text[], versions bigint[], head bigint, skipped integer[], now timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO leftfold.commands (command_id, hash, position, versions, recorded_at)
	SELECT c.id, c.hash, remember.head + made.events, made.versions, remember.now
	FROM unnest(remember.command_appends, remember.command_ids, remember.command_hashes) AS c(append, id, hash)
	JOIN (
		SELECT w.append,
			coalesce(json_object_agg(w.stream_id, w.version + w.events) FILTER (WHERE w.stream_id IS NOT NULL), '{}')::text AS versions,
			sum(sum(w.events)) OVER (ORDER BY w.append) AS events
		FROM (
			SELECT n.append, n.stream_id, n.events, n.version
			FROM unnest(remember.appends, remember.counts, remember.stream_ids, remember.versions) AS n(append, events, stream_id, version)
			UNION ALL
			SELECT n.append, NULL, 0, NULL FROM unnest(remember.command_appends) AS n(append)
		) w
		WHERE remember.skipped IS NULL OR w.append <> ALL (remember.skipped)
		GROUP BY w.append
	) made USING (append);
END $$;

-- refuse_import stops an append while a log is being imported.
CREATE FUNCTION leftfold.refuse_import() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'LF008', MESSAGE = 'a log is being imported into this store',
		HINT = 'Append when the import has ended; leftfold import goes on with it.';
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
-- What a batch carries are arrays of built-in types, because an array of composites costs
-- more to read than all that is done with it. The settings that append needs are the session's,
-- because to set them for the call costs a lone writer a tenth of its time: append_in sets them
-- for who has not. The search path is checked, because append runs with the rights of its
-- owner: whoever calls could else give the names in it a meaning of their own. Up to that check
-- everything is named with its schema.
CREATE FUNCTION leftfold.append(
	writer  uuid,   -- NULL: whoever calls will find out what becomes of a lost answer
	session bigint,
	fenced  bigint, -- what fences was when the session began, or later
	known   bigint, -- the newest position that the client has seen, to begin with
	-- The writes, in the order of their appends, which count from 1.
	appends     integer[],
	stream_keys uuid[],
	expected    bigint[],  -- a version, 0: no stream; -1: any; -2: the stream exists
	counts      integer[], -- how many events
	write_ids   text[],    -- the streams' names; NULL: there is no command to be remembered
	-- The events, in the order of their positions.
	writes          integer[], -- of which write, from 1
	nths            integer[], -- the place in its write, from 1
	event_ids       uuid[],
	event_keys      uuid[],
	slices          smallint[],
	schema_versions smallint[],
	stream_ids      text[],
	types           text[],
	tags            text[],  -- as in the table; NULL: no event has any
	metadata        bytea[], -- NULL: no event has any
	data            bytea[],
	-- The commands of appends; NULL: none has one.
	command_appends integer[],
	command_ids     uuid[],
	command_hashes  uuid[],
	-- The items of the queries in conditions, alternatives in one append; NULL: no conditions.
	condition_appends  integer[],
	condition_afters   bigint[],
	condition_untagged boolean[], -- some item of the query has no tag
	condition_tags     text[],    -- one a line; NULL: any
	condition_types    text[],    -- one a line; NULL: any
	-- The appends that are for one life of the log; NULL: none is.
	life_appends integer[],
	lives        integer[],
	applies bigint, -- names the projections that the caller applies in the same transaction; 0: none
	OUT incarnation integer,
	OUT fences      bigint,    -- as it is now
	OUT waited      boolean,   -- for another writer
	OUT head        bigint,    -- before the batch
	OUT versions    bigint[],  -- of the streams of the writes, before the batch; negative: deleted
	OUT skipped     integer[], -- appends that were not made: a version was wrong, or for what follows
	OUT repeated    json,      -- their commands are known: append, position, hash, versions
	OUT refused     json,      -- by their conditions: append, reason (ahead, wide or matched), position
	OUT now         timestamptz -- the recorded_at of the batch
) LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_column
DECLARE
	nothing pg_catalog.text;
	cluster pg_catalog.text;
	inline  bigint; -- what must be applied
	total   bigint; -- events
	places  integer[]; -- of the events, if some appends are skipped; NULL: not appended
	wrong   integer[];
	made    bigint;
BEGIN
	IF pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.<>) 'pg_catalog, pg_temp' THEN
		RAISE EXCEPTION USING ERRCODE = 'LF005', MESSAGE = 'append is for sessions with the search_path pg_catalog, pg_temp',
			HINT = 'Call append_in, which sets it.';
	END IF;
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION USING ERRCODE = 'LF002',
			MESSAGE = format('events are appended at READ COMMITTED only, this transaction is %s', upper(current_setting('transaction_isolation'))),
			HINT = 'Begin the transaction at isolation level READ COMMITTED; the lock of the store makes that safe.';
	END IF;
	IF array_lower(appends, 1) <> 1 OR array_lower(stream_keys, 1) <> 1 OR array_lower(counts, 1) <> 1 OR array_lower(writes, 1) <> 1 THEN
		PERFORM leftfold.refuse_batch(); -- a subscript below would name another row than unnest does
	END IF;
	waited := NOT pg_try_advisory_xact_lock(1818585702, leftfold.lock_key());
	IF waited THEN
		nothing := pg_advisory_xact_lock(1818585702, leftfold.lock_key());
	END IF;
	now := clock_timestamp();

	-- A backward scan looks at every entry of its index page that matches before it returns the
	-- first, so both searches for an end have a lower bound.
	SELECT s.incarnation, s.fences, s.cluster, s.inline_set,
		(SELECT e.position FROM leftfold.events e WHERE e.position >= known ORDER BY e.position DESC LIMIT 1),
		w.versions, w.wrong, w.total
	INTO incarnation, fences, cluster, inline, head, versions, wrong, total
	FROM leftfold.store s, (
		SELECT array_agg(v.version) AS versions, sum(greatest(v.count, 0)) AS total,
			array_agg(v.append) FILTER (WHERE v.version < 0 OR CASE v.expected WHEN -1 THEN false WHEN -2 THEN v.version = 0 ELSE v.version <> v.expected END) AS wrong
		FROM (
			SELECT n.append, n.expected, n.count, coalesce((
				SELECT CASE e.type WHEN '$stream.deleted' THEN -e.version ELSE e.version END
				FROM leftfold.events e WHERE e.stream_key = n.key AND e.version >= n.expected ORDER BY e.version DESC LIMIT 1), 0) AS version
			FROM (SELECT unnest(appends) AS append, unnest(stream_keys) AS key, unnest(expected) AS expected, unnest(counts) AS count) n OFFSET 0
		) v
	) w
	WHERE s.only_row;
	IF (CASE WHEN cluster IS NULL OR pg_is_in_recovery() THEN false ELSE right(cluster, 8) <> left(pg_walfile_name(pg_current_wal_lsn()), 8) END) THEN
		-- A standby was promoted under an open session.
		SELECT a.incarnation INTO incarnation FROM leftfold.adopt() a;
	END IF;
	IF inline = -1 THEN
		PERFORM leftfold.refuse_import();
	END IF;
	IF fences <> fenced THEN -- apart, because an expression with a query in it is executed as one
		IF session < (SELECT f.session FROM leftfold.fences f WHERE f.writer = append.writer)
			OR writer IS NOT NULL AND fenced < (SELECT f.session FROM leftfold.fences f WHERE f.writer = '00000000-0000-0000-0000-000000000000') THEN
			RAISE EXCEPTION USING ERRCODE = 'LF003', MESSAGE = 'this batch was given up by its writer';
		END IF;
	END IF;
	IF inline <> coalesce(applies, 0) THEN
		PERFORM leftfold.refuse_inline();
	END IF;
	IF head IS NULL THEN -- nothing yet, or less than the client has seen on another server
		head := coalesce((SELECT e.position FROM leftfold.events e ORDER BY e.position DESC LIMIT 1), 0);
	END IF;
	IF wrong IS NOT NULL THEN -- the end of a stream may be before what was expected
		skipped := wrong;
		versions := ARRAY(
			SELECT coalesce((
				SELECT CASE e.type WHEN '$stream.deleted' THEN -e.version ELSE e.version END
				FROM leftfold.events e WHERE e.stream_key = n.key ORDER BY e.version DESC LIMIT 1), 0)
			FROM unnest(stream_keys) AS n(key));
	END IF;

	-- LATERAL and OFFSET 0 hold the planner to one probe of an index for each row: it would
	-- else write a subquery out twice, or read a whole index to join with it.
	IF command_ids IS NOT NULL THEN
		SELECT json_agg(json_build_object('append', c.append, 'position', k.position, 'hash', k.hash, 'versions', k.versions::json)), array_agg(c.append)
		INTO repeated, wrong
		FROM unnest(command_appends, command_ids) AS c(append, id)
		CROSS JOIN LATERAL (SELECT k.position, k.hash, k.versions FROM leftfold.commands k WHERE k.command_id = c.id OFFSET 0) k;
		skipped := skipped || wrong;
	END IF;
	IF life_appends IS NOT NULL THEN
		wrong := (SELECT array_agg(l.append) FROM unnest(life_appends, lives) AS l(append, life) WHERE l.life <> incarnation);
		skipped := skipped || wrong;
	END IF;
	IF condition_appends IS NOT NULL THEN
		SELECT json_agg(json_build_object('append', m.append, 'reason', m.reason, 'position', m.at)), array_agg(m.append)
		INTO refused, wrong
		FROM leftfold.matches(condition_appends, condition_afters, condition_untagged, condition_tags, condition_types, head) m;
		skipped := skipped || wrong;
	END IF;
	IF skipped IS NOT NULL THEN -- the others close up
		places := ARRAY(SELECT CASE WHEN n.kept THEN count(*) FILTER (WHERE n.kept) OVER (ORDER BY n.i) END
			FROM (SELECT i, appends[writes[i]] <> ALL (skipped) AS kept FROM generate_series(1, cardinality(writes)) i) n ORDER BY n.i);
		total := (SELECT coalesce(sum(greatest(n.count, 0)), 0) FROM unnest(appends, counts) AS n(append, count) WHERE n.append <> ALL (skipped));
	END IF;

	-- What the rows must be like is checked where they are made, because a program with the right
	-- to append may not be ours. With as many events as the writes announce, each with its write's
	-- key and nth within it, the unique key leaves no gap in the versions of a stream. That no
	-- event is left out leaves no gap in the positions, and no tag without an event.
	--
	-- Each unnest stands in the list of a SELECT, where they go on in step, row by row. In the FROM
	-- they would be kept in a temporary store first.
	INSERT INTO leftfold.events (position, version, recorded_at, event_id, stream_key, slice, schema_version, stream_id, type, tags, metadata, data)
	SELECT head + CASE WHEN places IS NULL THEN e.place ELSE places[e.place] END, versions[e.write] + e.nth, now,
		e.event_id, e.stream_key, e.slice, e.schema_version, e.stream_id, e.type, e.tags, e.metadata, e.data
	FROM (SELECT generate_series(1, cardinality(writes)) AS place, unnest(writes) AS write, unnest(nths) AS nth, unnest(event_ids) AS event_id,
			unnest(event_keys) AS stream_key, unnest(slices) AS slice, unnest(schema_versions) AS schema_version, unnest(stream_ids) AS stream_id,
			unnest(types) AS type, unnest(tags) AS tags, unnest(metadata) AS metadata, unnest(data) AS data) e
	WHERE (places IS NULL OR places[e.place] IS NOT NULL)
		AND e.nth BETWEEN 1 AND counts[e.write] AND e.stream_key = stream_keys[e.write] AND e.slice BETWEEN 0 AND 1023 AND e.schema_version > 0
		AND e.type <> '' AND (NOT starts_with(e.type, '$') OR e.type = '$stream.deleted');
	GET DIAGNOSTICS made = ROW_COUNT;
	IF made <> coalesce(total, 0) OR made <> cardinality(CASE WHEN places IS NULL THEN writes ELSE array_remove(places, NULL) END) THEN
		PERFORM leftfold.refuse_batch();
	END IF;
	IF tags IS NOT NULL THEN
		INSERT INTO leftfold.event_tags (tag, position)
		SELECT t.tag, head + CASE WHEN places IS NULL THEN e.place ELSE places[e.place] END
		FROM (SELECT generate_series(1, cardinality(writes)) AS place, unnest(tags) AS tags) e, string_to_table(e.tags, E'\n') t(tag)
		WHERE places IS NULL OR places[e.place] IS NOT NULL
		ORDER BY 1, 2;
	END IF;
	IF command_ids IS NOT NULL THEN
		PERFORM leftfold.remember(command_appends, command_ids, command_hashes, appends, counts, write_ids, versions, head, skipped, now);
	END IF;
	IF total > 0 THEN
		nothing := pg_notify('leftfold', (head + total)::text);
	END IF;
END $$;

-- append_in is append for the transactions of others and behind proxies, where the session has
-- settings of its own.
CREATE FUNCTION leftfold.append_in(
	writer  uuid,   -- NULL: whoever calls will find out what becomes of a lost answer
	session bigint,
	fenced  bigint, -- what fences was when the session began, or later
	known   bigint, -- the newest position that the client has seen, to begin with
	-- The writes, in the order of their appends, which count from 1.
	appends     integer[],
	stream_keys uuid[],
	expected    bigint[],  -- a version, 0: no stream; -1: any; -2: the stream exists
	counts      integer[], -- how many events
	write_ids   text[],    -- the streams' names; NULL: there is no command to be remembered
	-- The events, in the order of their positions.
	writes          integer[], -- of which write, from 1
	nths            integer[], -- the place in its write, from 1
	event_ids       uuid[],
	event_keys      uuid[],
	slices          smallint[],
	schema_versions smallint[],
	stream_ids      text[],
	types           text[],
	tags            text[],  -- as in the table; NULL: no event has any
	metadata        bytea[], -- NULL: no event has any
	data            bytea[],
	-- The commands of appends; NULL: none has one.
	command_appends integer[],
	command_ids     uuid[],
	command_hashes  uuid[],
	-- The items of the queries in conditions, alternatives in one append; NULL: no conditions.
	condition_appends  integer[],
	condition_afters   bigint[],
	condition_untagged boolean[], -- some item of the query has no tag
	condition_tags     text[],    -- one a line; NULL: any
	condition_types    text[],    -- one a line; NULL: any
	-- The appends that are for one life of the log; NULL: none is.
	life_appends integer[],
	lives        integer[],
	applies bigint, -- names the projections that the caller applies in the same transaction; 0: none
	OUT incarnation integer,
	OUT fences      bigint,    -- as it is now
	OUT waited      boolean,   -- for another writer
	OUT head        bigint,    -- before the batch
	OUT versions    bigint[],  -- of the streams of the writes, before the batch; negative: deleted
	OUT skipped     integer[], -- appends that were not made: a version was wrong, or for what follows
	OUT repeated    json,      -- their commands are known: append, position, hash, versions
	OUT refused     json,      -- by their conditions: append, reason (ahead, wide or matched), position
	OUT now         timestamptz -- the recorded_at of the batch
) LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	SET enable_seqscan = off -- plans are made while the tables are empty, and kept
	SET enable_bitmapscan = off
	SET jit = off -- such a plan looks dear enough to be compiled, for 40 ms
	SET plan_cache_mode = force_generic_plan -- planning anew costs more than all the rest
	SET lock_timeout = '5s'
AS $$
#variable_conflict use_column
BEGIN
	SELECT a.* INTO incarnation, fences, waited, head, versions, skipped, repeated, refused, now
	FROM leftfold.append(writer, session, fenced, known,
		appends, stream_keys, expected, counts, write_ids,
		writes, nths, event_ids, event_keys, slices, schema_versions, stream_ids, types, tags, metadata, data,
		command_appends, command_ids, command_hashes,
		condition_appends, condition_afters, condition_untagged, condition_tags, condition_types, life_appends, lives, applies) a;
END $$;

-- append_one is append for one event of one stream at a known version, as a lone writer has it,
-- in half the time: one statement that finds what must be right, and inserts. If something is
-- not, or is not plain, it appends nothing and returns NULL; append then says what. It returns
-- the event's position. The timeline is the client's to know: it cannot change under a session
-- that began on a primary, and adopted the store there.
CREATE FUNCTION leftfold.append_one(
	fenced bigint, known bigint, stream_key uuid, expected bigint, slice smallint, stream_id text,
	event_id uuid, schema_version smallint, type text, metadata bytea, data bytea
) RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER AS $$
#variable_conflict use_column
DECLARE
	nothing pg_catalog.text;
	made    bigint;
BEGIN
	IF pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.<>) 'pg_catalog, pg_temp' THEN
		RETURN NULL;
	END IF;
	IF slice NOT BETWEEN 0 AND 1023 OR schema_version < 1 OR type = '' OR starts_with(type, '$') OR expected < 0
		OR current_setting('transaction_isolation') <> 'read committed' THEN
		RETURN NULL;
	END IF;
	nothing := pg_advisory_xact_lock(1818585702, leftfold.lock_key());
	INSERT INTO leftfold.events AS made (position, version, recorded_at, event_id, stream_key, slice, schema_version, stream_id, type, metadata, data)
	SELECT s.head + 1, append_one.expected + 1, clock_timestamp(), append_one.event_id, append_one.stream_key, append_one.slice,
		append_one.schema_version, append_one.stream_id, append_one.type, append_one.metadata, append_one.data
	FROM (
		SELECT (SELECT e.position FROM leftfold.events e WHERE e.position >= known ORDER BY e.position DESC LIMIT 1) AS head
		FROM leftfold.store s WHERE s.only_row AND s.fences = fenced AND s.inline_set = 0 OFFSET 0
	) s
	WHERE s.head IS NOT NULL
		AND append_one.expected = coalesce((
			SELECT CASE e.type WHEN '$stream.deleted' THEN -e.version ELSE e.version END
			FROM leftfold.events e WHERE e.stream_key = append_one.stream_key AND e.version >= append_one.expected ORDER BY e.version DESC LIMIT 1), 0)
	RETURNING made.position INTO made;
	IF made IS NOT NULL THEN
		nothing := pg_notify('leftfold', made::text);
	END IF;
	RETURN made;
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

-- prune_commands forgets the command ids before a position in a run of the table's blocks. The time
-- keeps an append of no events that has come to the last position since that was looked up. It takes
-- no lock of the store: an append that looks an id up finds it until this is committed, and then does
-- not. It runs with the rights of its caller, and only the owner may remove rows.
CREATE FUNCTION leftfold.prune_commands(bound bigint, before timestamptz, first_block bigint, blocks bigint) RETURNS bigint
LANGUAGE plpgsql
	SET search_path = pg_catalog, pg_temp
	SET enable_seqscan = off -- in the range of blocks
AS $$
DECLARE
	pruned bigint;
BEGIN
	-- Set here, because only a superuser may write it at the head of the function.
	PERFORM set_config('leftfold_commands.prune', 'on', true);
	DELETE FROM leftfold.commands c
	WHERE c.ctid >= format('(%s,0)', first_block)::tid AND c.ctid < format('(%s,0)', first_block + blocks)::tid
		AND c.position < bound AND c.recorded_at < before;
	GET DIAGNOSTICS pruned = ROW_COUNT;
	PERFORM set_config('leftfold_commands.prune', '', true);
	RETURN pruned;
END $$;

-- settle forbids the earlier sessions of a writer, and finds the first events of its writes
-- that are in the log behind a position. Both are one transaction under the lock of the
-- store: a batch of an earlier session is found, or it will never be there.
--
-- A batch that comes later says what fences was before it was sent, and it is another number
-- now: then append looks its writer up, and append_one declines. The number is a random step
-- up, because a standby that lacks another writer's fence may have been promoted meanwhile:
-- with a step of one, the next fence there would make the same number.
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
	UPDATE leftfold.store s SET fences = s.fences + 1 + (random() * 1000000)::integer;
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
--
-- A session that begins read-only may begin to append without having adopted the store: a
-- standby may be promoted, a setting may be reloaded. append notices, append_one does not.
CREATE FUNCTION leftfold.adopt(OUT id uuid, OUT incarnation integer, OUT head bigint, OUT fences bigint, OUT read_only boolean)
LANGUAGE plpgsql SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	SET lock_timeout = '5s'
AS $$
#variable_conflict use_column
DECLARE
	here text;
BEGIN
	read_only := pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'; -- asked once: it may change at any moment
	IF NOT read_only THEN
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
			-- What appends apply has come here with the log.
			UPDATE leftfold.segments g SET incarnation = s.incarnation
			FROM leftfold.store s WHERE g.store_id = s.id AND g.holder = 'inline';
		END IF;
	END IF;
	SELECT s.id, s.incarnation, coalesce((SELECT max(e.position) FROM leftfold.events e), 0), s.fences
	INTO id, incarnation, head, fences FROM leftfold.store s;
END $$;

-- Nobody has a right that was not given; see Grant.
REVOKE ALL ON ALL TABLES IN SCHEMA leftfold FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA leftfold FROM PUBLIC;

INSERT INTO leftfold.store (id, incarnation) VALUES (gen_random_uuid(), 1);
INSERT INTO leftfold.migrations (number, name, oldest) VALUES (1, 'event store', 1);
