--
-- PostgreSQL database dump
--



SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: leftfold; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA leftfold;


--
-- Name: adopt(); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.adopt(OUT id uuid, OUT incarnation integer, OUT head bigint, OUT fences bigint, OUT read_only boolean) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '5s'
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
		IF here <> coalesce((SELECT s.cluster FROM "leftfold".store s), '') THEN
			PERFORM pg_advisory_xact_lock(1818585702, "leftfold".lock_key());
			UPDATE "leftfold".store s
			SET incarnation = s.incarnation + CASE WHEN s.cluster IS NULL THEN 0 ELSE 1 + (random() * 1000000)::integer END, cluster = here
			WHERE s.cluster IS DISTINCT FROM here;
			-- What appends apply has come here with the log.
			UPDATE "leftfold".segments g SET incarnation = s.incarnation
			FROM "leftfold".store s WHERE g.store_id = s.id AND g.holder = 'inline';
		END IF;
	END IF;
	SELECT s.id, s.incarnation, coalesce((SELECT max(e.position) FROM "leftfold".events e), 0), s.fences
	INTO id, incarnation, head, fences FROM "leftfold".store s;
END $$;


--
-- Name: append(uuid, bigint, bigint, bigint, integer[], uuid[], bigint[], integer[], text[], integer[], integer[], uuid[], uuid[], smallint[], smallint[], text[], text[], text[], bytea[], bytea[], integer[], uuid[], uuid[], integer[], bigint[], boolean[], text[], text[], integer[], integer[], bigint); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.append(writer uuid, session bigint, fenced bigint, known bigint, appends integer[], stream_keys uuid[], expected bigint[], counts integer[], write_ids text[], writes integer[], nths integer[], event_ids uuid[], event_keys uuid[], slices smallint[], schema_versions smallint[], stream_ids text[], types text[], tags text[], metadata bytea[], data bytea[], command_appends integer[], command_ids uuid[], command_hashes uuid[], condition_appends integer[], condition_afters bigint[], condition_untagged boolean[], condition_tags text[], condition_types text[], life_appends integer[], lives integer[], applies bigint, OUT incarnation integer, OUT fences bigint, OUT waited boolean, OUT head bigint, OUT versions bigint[], OUT skipped integer[], OUT repeated json, OUT refused json, OUT now timestamp with time zone) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    AS $_$
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
		PERFORM "leftfold".refuse_batch(); -- a subscript below would name another row than unnest does
	END IF;
	waited := NOT pg_try_advisory_xact_lock(1818585702, "leftfold".lock_key());
	IF waited THEN
		nothing := pg_advisory_xact_lock(1818585702, "leftfold".lock_key());
	END IF;
	now := clock_timestamp();

	-- A backward scan looks at every entry of its index page that matches before it returns the
	-- first, so both searches for an end have a lower bound.
	SELECT s.incarnation, s.fences, s.cluster, s.inline_set,
		(SELECT e.position FROM "leftfold".events e WHERE e.position >= known ORDER BY e.position DESC LIMIT 1),
		w.versions, w.wrong, w.total
	INTO incarnation, fences, cluster, inline, head, versions, wrong, total
	FROM "leftfold".store s, (
		SELECT array_agg(v.version) AS versions, sum(greatest(v.count, 0)) AS total,
			array_agg(v.append) FILTER (WHERE v.version < 0 OR CASE v.expected WHEN -1 THEN false WHEN -2 THEN v.version = 0 ELSE v.version <> v.expected END) AS wrong
		FROM (
			SELECT n.append, n.expected, n.count, coalesce((
				SELECT CASE e.type WHEN '$stream.deleted' THEN -e.version ELSE e.version END
				FROM "leftfold".events e WHERE e.stream_key = n.key AND e.version >= n.expected ORDER BY e.version DESC LIMIT 1), 0) AS version
			FROM (SELECT unnest(appends) AS append, unnest(stream_keys) AS key, unnest(expected) AS expected, unnest(counts) AS count) n OFFSET 0
		) v
	) w
	WHERE s.only_row;
	IF (CASE WHEN cluster IS NULL OR pg_is_in_recovery() THEN false ELSE right(cluster, 8) <> left(pg_walfile_name(pg_current_wal_lsn()), 8) END) THEN
		-- A standby was promoted under an open session.
		SELECT a.incarnation INTO incarnation FROM "leftfold".adopt() a;
	END IF;
	IF inline = -1 THEN
		PERFORM "leftfold".refuse_import();
	END IF;
	IF fences <> fenced THEN -- apart, because an expression with a query in it is executed as one
		IF session < (SELECT f.session FROM "leftfold".fences f WHERE f.writer = append.writer)
			OR writer IS NOT NULL AND fenced < (SELECT f.session FROM "leftfold".fences f WHERE f.writer = '00000000-0000-0000-0000-000000000000') THEN
			RAISE EXCEPTION USING ERRCODE = 'LF003', MESSAGE = 'this batch was given up by its writer';
		END IF;
	END IF;
	IF inline <> coalesce(applies, 0) THEN
		PERFORM "leftfold".refuse_inline();
	END IF;
	IF head IS NULL THEN -- nothing yet, or less than the client has seen on another server
		head := coalesce((SELECT e.position FROM "leftfold".events e ORDER BY e.position DESC LIMIT 1), 0);
	END IF;
	IF wrong IS NOT NULL THEN -- the end of a stream may be before what was expected
		skipped := wrong;
		versions := ARRAY(
			SELECT coalesce((
				SELECT CASE e.type WHEN '$stream.deleted' THEN -e.version ELSE e.version END
				FROM "leftfold".events e WHERE e.stream_key = n.key ORDER BY e.version DESC LIMIT 1), 0)
			FROM unnest(stream_keys) AS n(key));
	END IF;

	-- LATERAL and OFFSET 0 hold the planner to one probe of an index for each row: it would
	-- else write a subquery out twice, or read a whole index to join with it.
	IF command_ids IS NOT NULL THEN
		SELECT json_agg(json_build_object('append', c.append, 'position', k.position, 'hash', k.hash, 'versions', k.versions::json)), array_agg(c.append)
		INTO repeated, wrong
		FROM unnest(command_appends, command_ids) AS c(append, id)
		CROSS JOIN LATERAL (SELECT k.position, k.hash, k.versions FROM "leftfold".commands k WHERE k.command_id = c.id OFFSET 0) k;
		skipped := skipped || wrong;
	END IF;
	IF life_appends IS NOT NULL THEN
		wrong := (SELECT array_agg(l.append) FROM unnest(life_appends, lives) AS l(append, life) WHERE l.life <> incarnation);
		skipped := skipped || wrong;
	END IF;
	IF condition_appends IS NOT NULL THEN
		SELECT json_agg(json_build_object('append', m.append, 'reason', m.reason, 'position', m.at)), array_agg(m.append)
		INTO refused, wrong
		FROM "leftfold".matches(condition_appends, condition_afters, condition_untagged, condition_tags, condition_types, head) m;
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
	INSERT INTO "leftfold".events (position, version, recorded_at, event_id, stream_key, slice, schema_version, stream_id, type, tags, metadata, data)
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
		PERFORM "leftfold".refuse_batch();
	END IF;
	IF tags IS NOT NULL THEN
		INSERT INTO "leftfold".event_tags (tag, position)
		SELECT t.tag, head + CASE WHEN places IS NULL THEN e.place ELSE places[e.place] END
		FROM (SELECT generate_series(1, cardinality(writes)) AS place, unnest(tags) AS tags) e, string_to_table(e.tags, E'\n') t(tag)
		WHERE places IS NULL OR places[e.place] IS NOT NULL
		ORDER BY 1, 2;
	END IF;
	IF command_ids IS NOT NULL THEN
		PERFORM "leftfold".remember(command_appends, command_ids, command_hashes, appends, counts, write_ids, versions, head, skipped, now);
	END IF;
	IF total > 0 THEN
		nothing := pg_notify('leftfold', (head + total)::text);
	END IF;
END $_$;


--
-- Name: append_in(uuid, bigint, bigint, bigint, integer[], uuid[], bigint[], integer[], text[], integer[], integer[], uuid[], uuid[], smallint[], smallint[], text[], text[], text[], bytea[], bytea[], integer[], uuid[], uuid[], integer[], bigint[], boolean[], text[], text[], integer[], integer[], bigint); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.append_in(writer uuid, session bigint, fenced bigint, known bigint, appends integer[], stream_keys uuid[], expected bigint[], counts integer[], write_ids text[], writes integer[], nths integer[], event_ids uuid[], event_keys uuid[], slices smallint[], schema_versions smallint[], stream_ids text[], types text[], tags text[], metadata bytea[], data bytea[], command_appends integer[], command_ids uuid[], command_hashes uuid[], condition_appends integer[], condition_afters bigint[], condition_untagged boolean[], condition_tags text[], condition_types text[], life_appends integer[], lives integer[], applies bigint, OUT incarnation integer, OUT fences bigint, OUT waited boolean, OUT head bigint, OUT versions bigint[], OUT skipped integer[], OUT repeated json, OUT refused json, OUT now timestamp with time zone) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET lock_timeout TO '5s'
    AS $$
#variable_conflict use_column
BEGIN
	SELECT a.* INTO incarnation, fences, waited, head, versions, skipped, repeated, refused, now
	FROM "leftfold".append(writer, session, fenced, known,
		appends, stream_keys, expected, counts, write_ids,
		writes, nths, event_ids, event_keys, slices, schema_versions, stream_ids, types, tags, metadata, data,
		command_appends, command_ids, command_hashes,
		condition_appends, condition_afters, condition_untagged, condition_tags, condition_types, life_appends, lives, applies) a;
END $$;


--
-- Name: append_one(bigint, bigint, uuid, bigint, smallint, text, uuid, smallint, text, bytea, bytea); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.append_one(fenced bigint, known bigint, stream_key uuid, expected bigint, slice smallint, stream_id text, event_id uuid, schema_version smallint, type text, metadata bytea, data bytea) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    AS $_$
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
	nothing := pg_advisory_xact_lock(1818585702, "leftfold".lock_key());
	INSERT INTO "leftfold".events AS made (position, version, recorded_at, event_id, stream_key, slice, schema_version, stream_id, type, metadata, data)
	SELECT s.head + 1, append_one.expected + 1, clock_timestamp(), append_one.event_id, append_one.stream_key, append_one.slice,
		append_one.schema_version, append_one.stream_id, append_one.type, append_one.metadata, append_one.data
	FROM (
		SELECT (SELECT e.position FROM "leftfold".events e WHERE e.position >= known ORDER BY e.position DESC LIMIT 1) AS head
		FROM "leftfold".store s WHERE s.only_row AND s.fences = fenced AND s.inline_set = 0 OFFSET 0
	) s
	WHERE s.head IS NOT NULL
		AND append_one.expected = coalesce((
			SELECT CASE e.type WHEN '$stream.deleted' THEN -e.version ELSE e.version END
			FROM "leftfold".events e WHERE e.stream_key = append_one.stream_key AND e.version >= append_one.expected ORDER BY e.version DESC LIMIT 1), 0)
	RETURNING made.position INTO made;
	IF made IS NOT NULL THEN
		nothing := pg_notify('leftfold', made::text);
	END IF;
	RETURN made;
END $_$;


--
-- Name: at_head(bigint, text); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.at_head(moved bigint, projection text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
	IF moved <> 1 THEN
		RAISE EXCEPTION USING ERRCODE = 'LF007', MESSAGE = 'the checkpoint of an inline projection is not at the head', DETAIL = projection;
	END IF;
END $$;


--
-- Name: lock(); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.lock() RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '2s'
    AS $$
BEGIN
	PERFORM pg_advisory_xact_lock(1818585702, "leftfold".lock_key());
	RETURN (SELECT s.id FROM "leftfold".store s);
END $$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: events; Type: TABLE; Schema: leftfold; Owner: -
--

CREATE TABLE leftfold.events (
    "position" bigint NOT NULL,
    version bigint NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    event_id uuid NOT NULL,
    stream_key uuid NOT NULL,
    slice smallint NOT NULL,
    schema_version smallint NOT NULL,
    stream_id text NOT NULL COLLATE pg_catalog."C",
    type text NOT NULL COLLATE pg_catalog."C",
    tags text COLLATE pg_catalog."C",
    metadata bytea,
    data bytea NOT NULL
);


--
-- Name: lock_key(); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.lock_key() RETURNS integer
    LANGUAGE sql STABLE
    RETURN (('leftfold.events'::regclass)::oid)::integer;


--
-- Name: matches(integer[], bigint[], boolean[], text[], text[], bigint); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.matches(appends integer[], afters bigint[], untagged boolean[], tags text[], types text[], head bigint) RETURNS TABLE(append integer, reason text, at bigint)
    LANGUAGE sql STABLE
    AS $$
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
					SELECT e.position FROM "leftfold".events e
					WHERE e.position > c.after AND e.type = ANY (c.types)
					ORDER BY e.position LIMIT 1)
				ELSE (
					SELECT x.position FROM "leftfold".event_tags x
					WHERE x.tag = lead.tag AND x.position > c.after
						AND NOT EXISTS (
							SELECT FROM unnest(c.tags) AS other(tag)
							WHERE other.tag <> lead.tag
								AND NOT EXISTS (SELECT FROM "leftfold".event_tags y WHERE y.tag = other.tag AND y.position = x.position))
						AND (c.types IS NULL OR (SELECT e.type FROM "leftfold".events e WHERE e.position = x.position) = ANY (c.types))
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
					SELECT FROM "leftfold".event_tags z WHERE z.tag = t.tag AND z.position > c.after LIMIT 64) sample)
				LIMIT 1)
			END AS tag OFFSET 0) lead
	) m
	WHERE m.position IS NOT NULL
$$;


--
-- Name: prune_commands(bigint, timestamp with time zone, bigint, bigint); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.prune_commands(bound bigint, before timestamp with time zone, first_block bigint, blocks bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
DECLARE
	pruned bigint;
BEGIN
	-- Set here, because only a superuser may write it at the head of the function.
	PERFORM set_config('leftfold_commands.prune', 'on', true);
	DELETE FROM "leftfold".commands c
	WHERE c.ctid >= format('(%s,0)', first_block)::tid AND c.ctid < format('(%s,0)', first_block + blocks)::tid
		AND c.position < bound AND c.recorded_at < before;
	GET DIAGNOSTICS pruned = ROW_COUNT;
	PERFORM set_config('leftfold_commands.prune', '', true);
	RETURN pruned;
END $$;


--
-- Name: refuse_batch(); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.refuse_batch() RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'LF004', MESSAGE = 'this is not a batch of appends',
		HINT = 'Append through the package adapters/postgres of Leftfold.';
END $$;


--
-- Name: refuse_change(); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'LF001',
		MESSAGE = format('%s.%s is append-only: %s refused', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP),
		HINT = 'Append an event that corrects the facts. Nothing that was recorded is changed or removed.';
END $$;


--
-- Name: refuse_import(); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.refuse_import() RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'LF008', MESSAGE = 'a log is being imported into this store',
		HINT = 'Append when the import has ended; "leftfold" import goes on with it.';
END $$;


--
-- Name: refuse_inline(); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.refuse_inline() RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = 'LF006', MESSAGE = 'appends to this store must apply its inline projections',
		DETAIL = coalesce((
			SELECT string_agg(format('%s@%s %s', g.name, g.version, m.hash), E'\n')
			FROM "leftfold".segments g JOIN "leftfold".read_models m ON m.name = g.name AND m.version = g.version
			WHERE g.holder = 'inline'), 'none'),
		HINT = 'Append with the projections that the store applies, or switch the store.';
END $$;


--
-- Name: remember(integer[], uuid[], uuid[], integer[], integer[], text[], bigint[], bigint, integer[], timestamp with time zone); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.remember(command_appends integer[], command_ids uuid[], command_hashes uuid[], appends integer[], counts integer[], stream_ids text[], versions bigint[], head bigint, skipped integer[], now timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
	INSERT INTO "leftfold".commands (command_id, hash, position, versions, recorded_at)
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


--
-- Name: set_inline(bigint); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.set_inline(applies bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '2s'
    AS $$
BEGIN
	PERFORM pg_advisory_xact_lock(1818585702, "leftfold".lock_key());
	IF (SELECT s.inline_set FROM "leftfold".store s) = -1 OR applies < 0 THEN
		PERFORM "leftfold".refuse_import();
	END IF;
	UPDATE "leftfold".store s SET inline_set = applies WHERE s.inline_set <> applies;
END $$;


--
-- Name: settle(uuid, bigint, bigint, uuid[], uuid[]); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.settle(writer uuid, session bigint, after bigint, event_ids uuid[], stream_keys uuid[]) RETURNS TABLE(n bigint, at bigint, version bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    SET lock_timeout TO '5s'
    AS $$
#variable_conflict use_column
BEGIN
	PERFORM pg_advisory_xact_lock(1818585702, "leftfold".lock_key());
	INSERT INTO "leftfold".fences AS f (writer, session, at) VALUES (settle.writer, settle.session, clock_timestamp())
	ON CONFLICT (writer) DO UPDATE SET session = greatest(f.session, excluded.session), at = excluded.at;
	UPDATE "leftfold".store s SET fences = s.fences + 1 + (random() * 1000000)::integer;
	DELETE FROM "leftfold".fences f WHERE f.at < clock_timestamp() - interval '30 days'; -- nothing is under way for so long

	IF after > (SELECT coalesce(max(e.position), 0) FROM "leftfold".events e) THEN
		after := 0; -- the log was rolled back; look everywhere
	END IF;
	RETURN QUERY
		SELECT ours.n, min(e.position), min(e.version)
		FROM unnest(event_ids, stream_keys) WITH ORDINALITY AS ours(event_id, stream_key, n)
		JOIN "leftfold".events e ON e.event_id = ours.event_id AND e.stream_key = ours.stream_key
		WHERE e.position > settle.after
		GROUP BY ours.n;
END $$;


--
-- Name: share(regclass); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.share(view regclass) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
	granted record;
BEGIN
	FOR granted IN
		SELECT CASE r.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r.grantee)) END AS grantee,
			bool_or(r.privilege_type = 'INSERT' AND v.relkind <> 'v') AS writes
		FROM pg_class c, pg_class v, aclexplode(c.relacl) r
		WHERE v.oid = view AND c.oid = '"leftfold".read_models'::regclass AND r.privilege_type IN ('SELECT', 'INSERT')
		GROUP BY 1
	LOOP
		EXECUTE format('GRANT %s ON %s TO %s', CASE WHEN granted.writes THEN 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE' ELSE 'SELECT' END, view, granted.grantee);
	END LOOP;
END $$;


--
-- Name: show(text, regclass); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.show(name text, shown regclass) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
	target  text := format('"leftfold".%I', 'live_' || name);
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
		PERFORM "leftfold".share(to_regclass(target));
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


--
-- Name: commands; Type: TABLE; Schema: leftfold; Owner: -
--

CREATE TABLE leftfold.commands (
    command_id uuid NOT NULL,
    hash uuid NOT NULL,
    "position" bigint NOT NULL,
    versions text NOT NULL,
    recorded_at timestamp with time zone NOT NULL
);


--
-- Name: event_tags; Type: TABLE; Schema: leftfold; Owner: -
--

CREATE TABLE leftfold.event_tags (
    tag text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL
);


--
-- Name: fences; Type: TABLE; Schema: leftfold; Owner: -
--

CREATE TABLE leftfold.fences (
    writer uuid NOT NULL,
    session bigint NOT NULL,
    at timestamp with time zone NOT NULL
);


--
-- Name: migrations; Type: TABLE; Schema: leftfold; Owner: -
--

CREATE TABLE leftfold.migrations (
    number integer NOT NULL,
    name text NOT NULL,
    oldest integer NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);


--
-- Name: parked; Type: TABLE; Schema: leftfold; Owner: -
--

CREATE TABLE leftfold.parked (
    name text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    store_id uuid NOT NULL,
    key text NOT NULL COLLATE pg_catalog."C",
    "position" bigint NOT NULL,
    event_id uuid NOT NULL,
    type text NOT NULL COLLATE pg_catalog."C",
    cause text NOT NULL,
    at timestamp with time zone NOT NULL
);


--
-- Name: read_models; Type: TABLE; Schema: leftfold; Owner: -
--

CREATE TABLE leftfold.read_models (
    name text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    hash text NOT NULL,
    stage text NOT NULL COLLATE pg_catalog."C",
    unindexed integer NOT NULL,
    CONSTRAINT read_models_stage_check CHECK ((stage = ANY (ARRAY['building'::text, 'live'::text, 'kept'::text])))
);


--
-- Name: segments; Type: TABLE; Schema: leftfold; Owner: -
--

CREATE TABLE leftfold.segments (
    name text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    store_id uuid NOT NULL,
    first_slice smallint NOT NULL,
    end_slice smallint NOT NULL,
    incarnation integer NOT NULL,
    "position" bigint NOT NULL,
    anchor_id uuid NOT NULL,
    fence bigint NOT NULL,
    parks bigint NOT NULL,
    holder text NOT NULL,
    held_until timestamp with time zone,
    report text NOT NULL
)
WITH (fillfactor='20');


--
-- Name: snapshots; Type: TABLE; Schema: leftfold; Owner: -
--

CREATE TABLE leftfold.snapshots (
    store_id uuid NOT NULL,
    shape uuid NOT NULL,
    event_id uuid NOT NULL,
    version bigint NOT NULL,
    taken_at timestamp with time zone DEFAULT now() NOT NULL,
    incarnation integer NOT NULL,
    stream_id text NOT NULL COLLATE pg_catalog."C",
    state bytea NOT NULL
);


--
-- Name: store; Type: TABLE; Schema: leftfold; Owner: -
--

CREATE TABLE leftfold.store (
    only_row boolean DEFAULT true NOT NULL,
    id uuid NOT NULL,
    incarnation integer NOT NULL,
    cluster text,
    fences bigint DEFAULT 0 NOT NULL,
    inline_set bigint DEFAULT 0 NOT NULL,
    CONSTRAINT store_incarnation_check CHECK ((incarnation > 0)),
    CONSTRAINT store_only_row_check CHECK (only_row)
);


--
-- Name: workers; Type: TABLE; Schema: leftfold; Owner: -
--

CREATE TABLE leftfold.workers (
    name text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    store_id uuid NOT NULL,
    worker text NOT NULL COLLATE pg_catalog."C",
    until timestamp with time zone NOT NULL
);


--
-- Data for Name: commands; Type: TABLE DATA; Schema: leftfold; Owner: -
--

INSERT INTO leftfold.commands VALUES ('e828535f-0e6b-226e-06b2-876326d3bd7f', '4d93e16c-d820-b745-7111-af8eb1c8a770', 5, '{ "order-1" : 3, "cart-9" : 2, "customer-1" : 0 }', '2026-01-01 00:00:00+00');
INSERT INTO leftfold.commands VALUES ('e4e04388-5a65-6eb0-330e-2289430517ea', '00000000-0000-0000-0000-000000000000', 5, '{}', '2026-01-01 00:00:00+00');


--
-- Data for Name: event_tags; Type: TABLE DATA; Schema: leftfold; Owner: -
--

INSERT INTO leftfold.event_tags VALUES ('country:UK', 1);
INSERT INTO leftfold.event_tags VALUES ('customer:1', 1);
INSERT INTO leftfold.event_tags VALUES ('customer:1', 4);
INSERT INTO leftfold.event_tags VALUES ('größe:größer', 6);
INSERT INTO leftfold.event_tags VALUES ('quote:''"\', 6);


--
-- Data for Name: events; Type: TABLE DATA; Schema: leftfold; Owner: -
--

INSERT INTO leftfold.events VALUES (1, 1, '2026-01-01 00:00:01.000001+00', '01900000-0000-7000-8000-000000000001', '0bafe221-56d2-698c-143b-86040446d366', 421, 1, 'order-1', 'order.placed', 'customer:1
country:UK', '\x7b226163746f72223a22636c65726b227d', '\x7b22637573746f6d6572223a20317d');
INSERT INTO leftfold.events VALUES (2, 2, '2026-01-01 00:00:02.000002+00', '01900000-0000-7000-8000-000000000003', '0bafe221-56d2-698c-143b-86040446d366', 421, 1, 'order-1', 'item.added', NULL, NULL, '\x');
INSERT INTO leftfold.events VALUES (3, 3, '2026-01-01 00:00:03.000003+00', '01900000-0000-7000-8000-000000000002', '0bafe221-56d2-698c-143b-86040446d366', 421, 3, 'order-1', 'order.priced', NULL, NULL, '\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff');
INSERT INTO leftfold.events VALUES (4, 1, '2026-01-01 00:00:04.000004+00', '01900000-0000-7000-8000-000000000004', '6a3f4a06-54f4-d4f1-5fa8-3cb57d8f5ee0', 956, 1, 'cart-9', 'cart.emptied', 'customer:1', NULL, '\x');
INSERT INTO leftfold.events VALUES (5, 2, '2026-01-01 00:00:05.000005+00', '01900000-0000-7000-8000-000000000005', '6a3f4a06-54f4-d4f1-5fa8-3cb57d8f5ee0', 956, 1, 'cart-9', 'cart.closed', NULL, NULL, '\x7b7d');
INSERT INTO leftfold.events VALUES (6, 1, '2026-01-01 00:00:06.000006+00', '01900000-0000-7000-8000-000000000006', 'dbf12555-4cbb-ad71-d68e-c6c691b447dc', 339, 1, 'größe-''"\ 日本 🦊', 'größe."geändert"', 'größe:größer
quote:''"\', NULL, '\xff00');
INSERT INTO leftfold.events VALUES (7, 3, '2026-01-01 00:00:07.000007+00', '01900000-0000-7000-8000-00000000ffff', '6a3f4a06-54f4-d4f1-5fa8-3cb57d8f5ee0', 956, 1, 'cart-9', '$stream.deleted', NULL, NULL, '\x');


--
-- Data for Name: fences; Type: TABLE DATA; Schema: leftfold; Owner: -
--



--
-- Data for Name: migrations; Type: TABLE DATA; Schema: leftfold; Owner: -
--

INSERT INTO leftfold.migrations VALUES (1, 'event store', 1, '2026-01-01 00:00:00+00');
INSERT INTO leftfold.migrations VALUES (2, 'read models', 1, '2026-01-01 00:00:00+00');


--
-- Data for Name: parked; Type: TABLE DATA; Schema: leftfold; Owner: -
--



--
-- Data for Name: read_models; Type: TABLE DATA; Schema: leftfold; Owner: -
--



--
-- Data for Name: segments; Type: TABLE DATA; Schema: leftfold; Owner: -
--



--
-- Data for Name: snapshots; Type: TABLE DATA; Schema: leftfold; Owner: -
--



--
-- Data for Name: store; Type: TABLE DATA; Schema: leftfold; Owner: -
--

INSERT INTO leftfold.store VALUES (true, '0190b8a4-3c5e-7cc0-b000-1a2b3c4d5e6f', 1, '7000000000000000000/00000001', 0, 0);


--
-- Data for Name: workers; Type: TABLE DATA; Schema: leftfold; Owner: -
--



--
-- Name: commands commands_pkey; Type: CONSTRAINT; Schema: leftfold; Owner: -
--

ALTER TABLE ONLY leftfold.commands
    ADD CONSTRAINT commands_pkey PRIMARY KEY (command_id);


--
-- Name: event_tags event_tags_pkey; Type: CONSTRAINT; Schema: leftfold; Owner: -
--

ALTER TABLE ONLY leftfold.event_tags
    ADD CONSTRAINT event_tags_pkey PRIMARY KEY (tag, "position");


--
-- Name: events events_pkey; Type: CONSTRAINT; Schema: leftfold; Owner: -
--

ALTER TABLE ONLY leftfold.events
    ADD CONSTRAINT events_pkey PRIMARY KEY ("position");


--
-- Name: events events_stream_key_version_key; Type: CONSTRAINT; Schema: leftfold; Owner: -
--

ALTER TABLE ONLY leftfold.events
    ADD CONSTRAINT events_stream_key_version_key UNIQUE (stream_key, version);


--
-- Name: fences fences_pkey; Type: CONSTRAINT; Schema: leftfold; Owner: -
--

ALTER TABLE ONLY leftfold.fences
    ADD CONSTRAINT fences_pkey PRIMARY KEY (writer);


--
-- Name: migrations migrations_pkey; Type: CONSTRAINT; Schema: leftfold; Owner: -
--

ALTER TABLE ONLY leftfold.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (number);


--
-- Name: parked parked_pkey; Type: CONSTRAINT; Schema: leftfold; Owner: -
--

ALTER TABLE ONLY leftfold.parked
    ADD CONSTRAINT parked_pkey PRIMARY KEY (name, version, store_id, key);


--
-- Name: read_models read_models_pkey; Type: CONSTRAINT; Schema: leftfold; Owner: -
--

ALTER TABLE ONLY leftfold.read_models
    ADD CONSTRAINT read_models_pkey PRIMARY KEY (name, version);


--
-- Name: segments segments_pkey; Type: CONSTRAINT; Schema: leftfold; Owner: -
--

ALTER TABLE ONLY leftfold.segments
    ADD CONSTRAINT segments_pkey PRIMARY KEY (name, version, store_id, first_slice);


--
-- Name: snapshots snapshots_pkey; Type: CONSTRAINT; Schema: leftfold; Owner: -
--

ALTER TABLE ONLY leftfold.snapshots
    ADD CONSTRAINT snapshots_pkey PRIMARY KEY (store_id, stream_id, shape);


--
-- Name: store store_pkey; Type: CONSTRAINT; Schema: leftfold; Owner: -
--

ALTER TABLE ONLY leftfold.store
    ADD CONSTRAINT store_pkey PRIMARY KEY (only_row);


--
-- Name: workers workers_pkey; Type: CONSTRAINT; Schema: leftfold; Owner: -
--

ALTER TABLE ONLY leftfold.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (name, version, store_id, worker);


--
-- Name: one_is_live; Type: INDEX; Schema: leftfold; Owner: -
--

CREATE UNIQUE INDEX one_is_live ON leftfold.read_models USING btree (name) WHERE (stage = 'live'::text);


--
-- Name: commands commands_are_kept; Type: TRIGGER; Schema: leftfold; Owner: -
--

CREATE TRIGGER commands_are_kept BEFORE DELETE ON leftfold.commands FOR EACH STATEMENT WHEN ((current_setting('leftfold_commands.prune'::text, true) IS DISTINCT FROM 'on'::text)) EXECUTE FUNCTION leftfold.refuse_change();


--
-- Name: commands commands_only_grow; Type: TRIGGER; Schema: leftfold; Owner: -
--

CREATE TRIGGER commands_only_grow BEFORE UPDATE OR TRUNCATE ON leftfold.commands FOR EACH STATEMENT EXECUTE FUNCTION leftfold.refuse_change();


--
-- Name: event_tags event_tags_only_grow; Type: TRIGGER; Schema: leftfold; Owner: -
--

CREATE TRIGGER event_tags_only_grow BEFORE DELETE OR UPDATE OR TRUNCATE ON leftfold.event_tags FOR EACH STATEMENT EXECUTE FUNCTION leftfold.refuse_change();


--
-- Name: events events_only_grow; Type: TRIGGER; Schema: leftfold; Owner: -
--

CREATE TRIGGER events_only_grow BEFORE DELETE OR UPDATE OR TRUNCATE ON leftfold.events FOR EACH STATEMENT EXECUTE FUNCTION leftfold.refuse_change();


--
-- Name: FUNCTION adopt(OUT id uuid, OUT incarnation integer, OUT head bigint, OUT fences bigint, OUT read_only boolean); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.adopt(OUT id uuid, OUT incarnation integer, OUT head bigint, OUT fences bigint, OUT read_only boolean) FROM PUBLIC;


--
-- Name: FUNCTION append(writer uuid, session bigint, fenced bigint, known bigint, appends integer[], stream_keys uuid[], expected bigint[], counts integer[], write_ids text[], writes integer[], nths integer[], event_ids uuid[], event_keys uuid[], slices smallint[], schema_versions smallint[], stream_ids text[], types text[], tags text[], metadata bytea[], data bytea[], command_appends integer[], command_ids uuid[], command_hashes uuid[], condition_appends integer[], condition_afters bigint[], condition_untagged boolean[], condition_tags text[], condition_types text[], life_appends integer[], lives integer[], applies bigint, OUT incarnation integer, OUT fences bigint, OUT waited boolean, OUT head bigint, OUT versions bigint[], OUT skipped integer[], OUT repeated json, OUT refused json, OUT now timestamp with time zone); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.append(writer uuid, session bigint, fenced bigint, known bigint, appends integer[], stream_keys uuid[], expected bigint[], counts integer[], write_ids text[], writes integer[], nths integer[], event_ids uuid[], event_keys uuid[], slices smallint[], schema_versions smallint[], stream_ids text[], types text[], tags text[], metadata bytea[], data bytea[], command_appends integer[], command_ids uuid[], command_hashes uuid[], condition_appends integer[], condition_afters bigint[], condition_untagged boolean[], condition_tags text[], condition_types text[], life_appends integer[], lives integer[], applies bigint, OUT incarnation integer, OUT fences bigint, OUT waited boolean, OUT head bigint, OUT versions bigint[], OUT skipped integer[], OUT repeated json, OUT refused json, OUT now timestamp with time zone) FROM PUBLIC;


--
-- Name: FUNCTION append_in(writer uuid, session bigint, fenced bigint, known bigint, appends integer[], stream_keys uuid[], expected bigint[], counts integer[], write_ids text[], writes integer[], nths integer[], event_ids uuid[], event_keys uuid[], slices smallint[], schema_versions smallint[], stream_ids text[], types text[], tags text[], metadata bytea[], data bytea[], command_appends integer[], command_ids uuid[], command_hashes uuid[], condition_appends integer[], condition_afters bigint[], condition_untagged boolean[], condition_tags text[], condition_types text[], life_appends integer[], lives integer[], applies bigint, OUT incarnation integer, OUT fences bigint, OUT waited boolean, OUT head bigint, OUT versions bigint[], OUT skipped integer[], OUT repeated json, OUT refused json, OUT now timestamp with time zone); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.append_in(writer uuid, session bigint, fenced bigint, known bigint, appends integer[], stream_keys uuid[], expected bigint[], counts integer[], write_ids text[], writes integer[], nths integer[], event_ids uuid[], event_keys uuid[], slices smallint[], schema_versions smallint[], stream_ids text[], types text[], tags text[], metadata bytea[], data bytea[], command_appends integer[], command_ids uuid[], command_hashes uuid[], condition_appends integer[], condition_afters bigint[], condition_untagged boolean[], condition_tags text[], condition_types text[], life_appends integer[], lives integer[], applies bigint, OUT incarnation integer, OUT fences bigint, OUT waited boolean, OUT head bigint, OUT versions bigint[], OUT skipped integer[], OUT repeated json, OUT refused json, OUT now timestamp with time zone) FROM PUBLIC;


--
-- Name: FUNCTION append_one(fenced bigint, known bigint, stream_key uuid, expected bigint, slice smallint, stream_id text, event_id uuid, schema_version smallint, type text, metadata bytea, data bytea); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.append_one(fenced bigint, known bigint, stream_key uuid, expected bigint, slice smallint, stream_id text, event_id uuid, schema_version smallint, type text, metadata bytea, data bytea) FROM PUBLIC;


--
-- Name: FUNCTION at_head(moved bigint, projection text); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.at_head(moved bigint, projection text) FROM PUBLIC;


--
-- Name: FUNCTION lock(); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.lock() FROM PUBLIC;


--
-- Name: FUNCTION lock_key(); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.lock_key() FROM PUBLIC;


--
-- Name: FUNCTION matches(appends integer[], afters bigint[], untagged boolean[], tags text[], types text[], head bigint); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.matches(appends integer[], afters bigint[], untagged boolean[], tags text[], types text[], head bigint) FROM PUBLIC;


--
-- Name: FUNCTION prune_commands(bound bigint, before timestamp with time zone, first_block bigint, blocks bigint); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.prune_commands(bound bigint, before timestamp with time zone, first_block bigint, blocks bigint) FROM PUBLIC;


--
-- Name: FUNCTION refuse_batch(); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.refuse_batch() FROM PUBLIC;


--
-- Name: FUNCTION refuse_change(); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.refuse_change() FROM PUBLIC;


--
-- Name: FUNCTION refuse_import(); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.refuse_import() FROM PUBLIC;


--
-- Name: FUNCTION refuse_inline(); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.refuse_inline() FROM PUBLIC;


--
-- Name: FUNCTION remember(command_appends integer[], command_ids uuid[], command_hashes uuid[], appends integer[], counts integer[], stream_ids text[], versions bigint[], head bigint, skipped integer[], now timestamp with time zone); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.remember(command_appends integer[], command_ids uuid[], command_hashes uuid[], appends integer[], counts integer[], stream_ids text[], versions bigint[], head bigint, skipped integer[], now timestamp with time zone) FROM PUBLIC;


--
-- Name: FUNCTION set_inline(applies bigint); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.set_inline(applies bigint) FROM PUBLIC;


--
-- Name: FUNCTION settle(writer uuid, session bigint, after bigint, event_ids uuid[], stream_keys uuid[]); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.settle(writer uuid, session bigint, after bigint, event_ids uuid[], stream_keys uuid[]) FROM PUBLIC;


--
-- Name: FUNCTION share(view regclass); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.share(view regclass) FROM PUBLIC;


--
-- Name: FUNCTION show(name text, shown regclass); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.show(name text, shown regclass) FROM PUBLIC;


--
-- PostgreSQL database dump complete
--


