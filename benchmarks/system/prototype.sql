-- The design that the goals of appends come from, as it was when they were measured: see
-- prototype.go. Nothing here is maintained; a change would make it another prototype.
--
-- es_append writes a batch under one lock of the database, so positions are 1, 2, 3, ... in
-- the order of commits. The lock is taken by a statement of its own, before the checks: each
-- statement of a volatile function has a new snapshot. It answers with the position before
-- the batch, the appends it refused and the version that each stream had.
CREATE TABLE events (
  position    bigint PRIMARY KEY,                      -- 1,2,3,... contiguous
  version     bigint NOT NULL,
  recorded_at timestamptz NOT NULL DEFAULT now(),      -- see note
  event_id    uuid NOT NULL,                           -- v7, made by the client; no index by default
  stream_id   text COLLATE "C" NOT NULL,
  type        text COLLATE "C" NOT NULL,
  metadata    bytea NOT NULL,
  data        bytea NOT NULL,
  UNIQUE (stream_id, version));
CREATE TABLE event_tags (tag text COLLATE "C" NOT NULL, position bigint NOT NULL, PRIMARY KEY (tag, position));
CREATE OR REPLACE FUNCTION es_dcb_conflict(p_tags text[], p_types text[], p_after bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
 IF cardinality(p_tags)=1 AND p_types IS NULL THEN
  RETURN EXISTS(SELECT 1 FROM event_tags x WHERE x.tag=p_tags[1] AND x.position>p_after);
 ELSIF cardinality(p_tags)=2 AND p_types IS NULL THEN
  RETURN EXISTS(SELECT 1 FROM event_tags x WHERE x.tag=p_tags[1] AND x.position>p_after AND EXISTS(SELECT 1 FROM event_tags y WHERE y.tag=p_tags[2] AND y.position=x.position));
 END IF;
 RETURN EXISTS(SELECT 1 FROM event_tags x WHERE x.tag=p_tags[1] AND x.position>p_after
   AND NOT EXISTS(SELECT 1 FROM unnest(p_tags[2:]) o(t) WHERE NOT EXISTS(SELECT 1 FROM event_tags y WHERE y.tag=o.t AND y.position=x.position))
   AND (p_types IS NULL OR EXISTS(SELECT 1 FROM events e WHERE e.position=x.position AND e.type=ANY(p_types))));
END $$;
CREATE OR REPLACE FUNCTION es_append(
  a_stream text[], a_expected bigint[],
  e_app int[], e_idx int[], e_stream text[], e_type text[], e_id uuid[], e_meta bytea[], e_data bytea[],
  t_ev int[], t_tag text[],
  c_app int[], c_after bigint[], c_tags text[],
  OUT base bigint, OUT bad int[], OUT acts bigint[]) LANGUAGE plpgsql
  SET enable_seqscan = off AS $$
DECLARE n int := cardinality(e_app); i int; j int; a int := 0; ci int := 1; ti int := 1; skip bool := false; cur bigint; v bigint; pos bigint[];
BEGIN
 PERFORM pg_advisory_xact_lock(42);
 SELECT coalesce(max(position),0) INTO base FROM events;
 IF n <= 3 OR c_app IS NOT NULL THEN
  cur := base;
  FOR i IN 1..n LOOP
   IF e_app[i] <> a THEN
    a := e_app[i];
    v := NULL;
    IF a_stream[a] IS NOT NULL THEN
     SELECT e.version INTO v FROM events e WHERE e.stream_id=a_stream[a] ORDER BY e.version DESC LIMIT 1;
    END IF;
    v := coalesce(v,0);
    skip := a_expected[a] >= 0 AND v <> a_expected[a];
    WHILE c_app[ci] = a LOOP
     skip := skip OR es_dcb_conflict(string_to_array(c_tags[ci], E'\x1f'), NULL, c_after[ci]);
     ci := ci+1;
    END LOOP;
    acts := acts || v;
    IF skip THEN bad := bad || a; END IF;
   END IF;
   IF NOT skip THEN
    cur := cur+1;
    INSERT INTO events(position,version,event_id,stream_id,type,metadata,data) VALUES (cur, v+e_idx[i], e_id[i], e_stream[i], e_type[i], e_meta[i], e_data[i]);
    IF t_ev IS NOT NULL THEN
     j := ti;
     WHILE t_ev[j] = i LOOP j := j+1; END LOOP;
     IF j > ti THEN INSERT INTO event_tags SELECT t, cur FROM unnest(t_tag[ti:j-1]) t; END IF;
     ti := j;
    END IF;
   ELSIF t_ev IS NOT NULL THEN
    WHILE t_ev[ti] = i LOOP ti := ti+1; END LOOP;
   END IF;
  END LOOP;
  RETURN;
 END IF;
 SELECT array_agg(coalesce((SELECT e.version FROM events e WHERE e.stream_id=s.stream ORDER BY e.version DESC LIMIT 1),0)) INTO acts
  FROM unnest(a_stream) s(stream);
 SELECT array_agg(x.o::int) INTO bad FROM unnest(acts,a_expected) WITH ORDINALITY x(v,e,o) WHERE x.e >= 0 AND x.v <> x.e;
 IF bad IS NULL THEN
  INSERT INTO events(position,version,event_id,stream_id,type,metadata,data)
   SELECT base+u.o, acts[u.a]+u.i, u.id, u.s, u.t, u.m, u.d FROM unnest(e_app,e_idx,e_stream,e_type,e_id,e_meta,e_data) WITH ORDINALITY u(a,i,s,t,id,m,d,o);
  IF t_ev IS NOT NULL THEN
   INSERT INTO event_tags SELECT x.t, base+x.e FROM unnest(t_ev,t_tag) x(e,t) ORDER BY 1,2;
  END IF;
 ELSE
  SELECT array_agg(CASE WHEN y.ok THEN base+y.r ELSE 0 END ORDER BY y.o) INTO pos FROM (SELECT x.o, x.a <> ALL(bad) AS ok, count(*) FILTER (WHERE x.a <> ALL(bad)) OVER (ORDER BY x.o) AS r FROM unnest(e_app) WITH ORDINALITY x(a,o)) y;
  INSERT INTO events(position,version,event_id,stream_id,type,metadata,data)
   SELECT pos[u.o], acts[u.a]+u.i, u.id, u.s, u.t, u.m, u.d FROM unnest(e_app,e_idx,e_stream,e_type,e_id,e_meta,e_data) WITH ORDINALITY u(a,i,s,t,id,m,d,o) WHERE pos[u.o] > 0;
  IF t_ev IS NOT NULL THEN
   INSERT INTO event_tags SELECT x.t, pos[x.e] FROM unnest(t_ev,t_tag) x(e,t) WHERE pos[x.e] > 0 ORDER BY 1,2;
  END IF;
 END IF;
END $$;
