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
-- Name: new_command; Type: TYPE; Schema: leftfold; Owner: -
--

CREATE TYPE leftfold.new_command AS (
	append integer,
	command_id uuid,
	hash uuid
);


--
-- Name: new_condition; Type: TYPE; Schema: leftfold; Owner: -
--

CREATE TYPE leftfold.new_condition AS (
	append integer,
	after bigint,
	untagged boolean,
	tags text[],
	types text[]
);


--
-- Name: new_event; Type: TYPE; Schema: leftfold; Owner: -
--

CREATE TYPE leftfold.new_event AS (
	write integer,
	nth integer,
	event_id uuid,
	slice smallint,
	schema_version smallint,
	stream_id text,
	type text,
	tags text,
	metadata bytea,
	data bytea
);


--
-- Name: new_write; Type: TYPE; Schema: leftfold; Owner: -
--

CREATE TYPE leftfold.new_write AS (
	append integer,
	stream_key uuid,
	expected bigint,
	events integer,
	stream_id text
);


--
-- Name: adopt(); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.adopt(OUT id uuid, OUT incarnation integer, OUT head bigint) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '5s'
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
		IF here <> coalesce((SELECT s.cluster FROM "leftfold".store s), '') THEN
			PERFORM pg_advisory_xact_lock(1818585702, "leftfold".lock_key());
			UPDATE "leftfold".store s
			SET incarnation = s.incarnation + CASE WHEN s.cluster IS NULL THEN 0 ELSE 1 + (random() * 1000000)::integer END, cluster = here
			WHERE s.cluster IS DISTINCT FROM here;
		END IF;
	END IF;
	SELECT s.id, s.incarnation, coalesce((SELECT max(e.position) FROM "leftfold".events e), 0)
	INTO id, incarnation, head FROM "leftfold".store s;
END $$;


--
-- Name: append(uuid, bigint, bigint, leftfold.new_write[], leftfold.new_event[], boolean, leftfold.new_command[], leftfold.new_condition[]); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.append(writer uuid, session bigint, known bigint, writes leftfold.new_write[], events leftfold.new_event[], tagged boolean, commands leftfold.new_command[], conditions leftfold.new_condition[], OUT incarnation integer, OUT head bigint, OUT versions bigint[], OUT skipped integer[], OUT repeated json, OUT refused json) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET jit TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET lock_timeout TO '5s'
    AS $_$
#variable_conflict use_column
DECLARE
	nothing text;
	now     timestamptz;
	oldest  bigint;
	wrong   integer[];
	few     boolean := cardinality(writes) <= 3 AND cardinality(events) <= 3;
	w       "leftfold".new_write;
	e       "leftfold".new_event;
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
	nothing := pg_advisory_xact_lock(1818585702, "leftfold".lock_key());
	now := clock_timestamp();

	-- A backward scan looks at every entry of its index page that matches before it returns the
	-- first, so both searches for the end have a lower bound to begin with.
	SELECT s.incarnation, coalesce(
			(SELECT e.position FROM "leftfold".events e WHERE e.position >= known ORDER BY e.position DESC LIMIT 1),
			(SELECT e.position FROM "leftfold".events e ORDER BY e.position DESC LIMIT 1), 0),
		(SELECT f.session FROM "leftfold".fences f WHERE f.writer = append.writer), s.cluster
	INTO incarnation, head, oldest, cluster FROM "leftfold".store s WHERE s.only_row;
	IF (CASE WHEN cluster IS NULL OR pg_is_in_recovery() THEN false ELSE right(cluster, 8) <> left(pg_walfile_name(pg_current_wal_lsn()), 8) END) THEN
		-- A standby was promoted under an open session.
		SELECT a.incarnation INTO incarnation FROM "leftfold".adopt() a;
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
		CROSS JOIN LATERAL (SELECT k.position, k.hash, k.versions FROM "leftfold".commands k WHERE k.command_id = c.command_id OFFSET 0) k;
	END IF;

	IF few THEN
		FOREACH w IN ARRAY writes LOOP
			SELECT CASE e.type WHEN '$stream.deleted' THEN -e.version ELSE e.version END
			INTO version FROM "leftfold".events e WHERE e.stream_key = w.stream_key AND e.version >= w.expected ORDER BY e.version DESC LIMIT 1;
			IF version IS NULL AND w.expected > 0 THEN
				SELECT CASE e.type WHEN '$stream.deleted' THEN -e.version ELSE e.version END
				INTO version FROM "leftfold".events e WHERE e.stream_key = w.stream_key ORDER BY e.version DESC LIMIT 1;
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
				FROM "leftfold".events e WHERE e.stream_key = n.stream_key AND e.version >= n.expected ORDER BY e.version DESC LIMIT 1), CASE WHEN n.expected > 0 THEN (
				SELECT CASE e.type WHEN '$stream.deleted' THEN -e.version ELSE e.version END
				FROM "leftfold".events e WHERE e.stream_key = n.stream_key ORDER BY e.version DESC LIMIT 1) END, 0) AS version
			FROM unnest(writes) n OFFSET 0
		) w;
		skipped := skipped || wrong;
	END IF;

	IF conditions IS NOT NULL THEN
		SELECT json_agg(json_build_object('append', m.append, 'reason', m.reason, 'position', m.at)), array_agg(m.append)
		INTO refused, wrong
		FROM "leftfold".matches(conditions, head) m;
		skipped := skipped || wrong;
	END IF;

	IF skipped IS NOT NULL THEN -- the others close up
		SELECT coalesce(array_agg(e::"leftfold".new_event), '{}') INTO events FROM unnest(events) e WHERE writes[e.write].append <> ALL (skipped);
		SELECT coalesce(sum(greatest(w.events, 0)), 0) INTO total FROM unnest(writes) w WHERE w.append <> ALL (skipped);
	END IF;
	IF total IS DISTINCT FROM cardinality(events) THEN
		PERFORM "leftfold".refuse_batch();
	END IF;

	-- What the rows must be like is checked where they are read, because a program with the right
	-- to append may not be ours. With as many events as the writes announce, and each nth within
	-- its write, the unique key leaves no gap in the versions of a stream.
	IF few THEN
		FOR place IN 1..cardinality(events) LOOP
			e := events[place];
			w := writes[e.write];
			IF e.nth BETWEEN 1 AND w.events AND (tagged OR e.tags IS NULL) AND e.slice BETWEEN 0 AND 1023 AND e.schema_version > 0 AND (left(e.type, 1) NOT IN ('', '$') OR e.type = '$stream.deleted') THEN
				INSERT INTO "leftfold".events (position, version, recorded_at, event_id, stream_key, slice, schema_version, stream_id, type, tags, metadata, data)
				VALUES (head + place, versions[e.write] + e.nth, now, e.event_id, w.stream_key, e.slice, e.schema_version, e.stream_id, e.type, e.tags, e.metadata, e.data);
				made := made + 1;
			END IF;
		END LOOP;
	ELSE
		INSERT INTO "leftfold".events (position, version, recorded_at, event_id, stream_key, slice, schema_version, stream_id, type, tags, metadata, data)
		SELECT head + e.place, versions[e.write] + e.nth, now, e.event_id, (writes[e.write]).stream_key, e.slice, e.schema_version, e.stream_id, e.type, e.tags, e.metadata, e.data
		FROM unnest(events) WITH ORDINALITY AS e(write, nth, event_id, slice, schema_version, stream_id, type, tags, metadata, data, place)
		WHERE e.nth BETWEEN 1 AND (writes[e.write]).events AND (tagged OR e.tags IS NULL) AND e.slice BETWEEN 0 AND 1023 AND e.schema_version > 0 AND (left(e.type, 1) NOT IN ('', '$') OR e.type = '$stream.deleted');
		GET DIAGNOSTICS made = ROW_COUNT;
	END IF;
	IF made <> cardinality(events) THEN
		PERFORM "leftfold".refuse_batch();
	END IF;

	IF tagged THEN
		INSERT INTO "leftfold".event_tags (tag, position)
		SELECT t.tag, head + e.place
		FROM unnest(events) WITH ORDINALITY AS e(write, nth, event_id, slice, schema_version, stream_id, type, tags, metadata, data, place), string_to_table(e.tags, E'\n') t(tag)
		ORDER BY 1, 2;
	END IF;
	IF commands IS NOT NULL THEN
		PERFORM "leftfold".remember(commands, writes, versions, head, skipped, now);
	END IF;
	nothing := pg_notify('leftfold', (head + cardinality(events))::text);
END $_$;


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
-- Name: matches(leftfold.new_condition[], bigint); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.matches(conditions leftfold.new_condition[], head bigint) RETURNS TABLE(append integer, reason text, at bigint)
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
		FROM unnest(matches.conditions) c
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
-- Name: remember(leftfold.new_command[], leftfold.new_write[], bigint[], bigint, integer[], timestamp with time zone); Type: FUNCTION; Schema: leftfold; Owner: -
--

CREATE FUNCTION leftfold.remember(commands leftfold.new_command[], writes leftfold.new_write[], versions bigint[], head bigint, skipped integer[], now timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
	INSERT INTO "leftfold".commands (command_id, hash, position, versions, recorded_at)
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
-- Name: store; Type: TABLE; Schema: leftfold; Owner: -
--

CREATE TABLE leftfold.store (
    only_row boolean DEFAULT true NOT NULL,
    id uuid NOT NULL,
    incarnation integer NOT NULL,
    cluster text,
    CONSTRAINT store_incarnation_check CHECK ((incarnation > 0)),
    CONSTRAINT store_only_row_check CHECK (only_row)
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


--
-- Data for Name: store; Type: TABLE DATA; Schema: leftfold; Owner: -
--

INSERT INTO leftfold.store VALUES (true, '0190b8a4-3c5e-7cc0-b000-1a2b3c4d5e6f', 1, '7000000000000000000/00000001');


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
-- Name: store store_pkey; Type: CONSTRAINT; Schema: leftfold; Owner: -
--

ALTER TABLE ONLY leftfold.store
    ADD CONSTRAINT store_pkey PRIMARY KEY (only_row);


--
-- Name: commands commands_only_grow; Type: TRIGGER; Schema: leftfold; Owner: -
--

CREATE TRIGGER commands_only_grow BEFORE DELETE OR UPDATE OR TRUNCATE ON leftfold.commands FOR EACH STATEMENT EXECUTE FUNCTION leftfold.refuse_change();


--
-- Name: event_tags event_tags_only_grow; Type: TRIGGER; Schema: leftfold; Owner: -
--

CREATE TRIGGER event_tags_only_grow BEFORE DELETE OR UPDATE OR TRUNCATE ON leftfold.event_tags FOR EACH STATEMENT EXECUTE FUNCTION leftfold.refuse_change();


--
-- Name: events events_only_grow; Type: TRIGGER; Schema: leftfold; Owner: -
--

CREATE TRIGGER events_only_grow BEFORE DELETE OR UPDATE OR TRUNCATE ON leftfold.events FOR EACH STATEMENT EXECUTE FUNCTION leftfold.refuse_change();


--
-- Name: FUNCTION adopt(OUT id uuid, OUT incarnation integer, OUT head bigint); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.adopt(OUT id uuid, OUT incarnation integer, OUT head bigint) FROM PUBLIC;


--
-- Name: FUNCTION append(writer uuid, session bigint, known bigint, writes leftfold.new_write[], events leftfold.new_event[], tagged boolean, commands leftfold.new_command[], conditions leftfold.new_condition[], OUT incarnation integer, OUT head bigint, OUT versions bigint[], OUT skipped integer[], OUT repeated json, OUT refused json); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.append(writer uuid, session bigint, known bigint, writes leftfold.new_write[], events leftfold.new_event[], tagged boolean, commands leftfold.new_command[], conditions leftfold.new_condition[], OUT incarnation integer, OUT head bigint, OUT versions bigint[], OUT skipped integer[], OUT repeated json, OUT refused json) FROM PUBLIC;


--
-- Name: FUNCTION lock(); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.lock() FROM PUBLIC;


--
-- Name: FUNCTION lock_key(); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.lock_key() FROM PUBLIC;


--
-- Name: FUNCTION matches(conditions leftfold.new_condition[], head bigint); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.matches(conditions leftfold.new_condition[], head bigint) FROM PUBLIC;


--
-- Name: FUNCTION refuse_batch(); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.refuse_batch() FROM PUBLIC;


--
-- Name: FUNCTION refuse_change(); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.refuse_change() FROM PUBLIC;


--
-- Name: FUNCTION remember(commands leftfold.new_command[], writes leftfold.new_write[], versions bigint[], head bigint, skipped integer[], now timestamp with time zone); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.remember(commands leftfold.new_command[], writes leftfold.new_write[], versions bigint[], head bigint, skipped integer[], now timestamp with time zone) FROM PUBLIC;


--
-- Name: FUNCTION settle(writer uuid, session bigint, after bigint, event_ids uuid[], stream_keys uuid[]); Type: ACL; Schema: leftfold; Owner: -
--

REVOKE ALL ON FUNCTION leftfold.settle(writer uuid, session bigint, after bigint, event_ids uuid[], stream_keys uuid[]) FROM PUBLIC;


--
-- PostgreSQL database dump complete
--


