-- What fixes a read of the log, as in log_start.sql, and its first page, as in log_all.sql or, of
-- some types ($4), log_types.sql: of one snapshot, so the page needs no proof. Along the
-- primary key. The row without a stream is what log_start.sql returns, in columns that fit: the
-- head, the end of the read and the event there, the event where it begins, and the store.
WITH head AS (SELECT coalesce(max(e.position), 0) AS position FROM leftfold.events e),
through AS (SELECT CASE WHEN $2::bigint = 0 OR $2::bigint > h.position THEN h.position ELSE $2::bigint END AS position FROM head h)
SELECT h.position, NULL, t.position, (SELECT e.event_id FROM leftfold.events e WHERE e.position = t.position), NULL, NULL, NULL, NULL,
	(SELECT uuid_send(e.event_id) FROM leftfold.events e WHERE e.position = $1::bigint), uuid_send(s.id) || int4send(s.incarnation)
FROM leftfold.store s, head h, through t
UNION ALL
(SELECT e.position, e.stream_id, e.version, e.event_id, e.type, e.schema_version, e.recorded_at, e.tags, e.metadata, e.data
	FROM leftfold.events e
	WHERE e.position > $1 AND e.position <= (SELECT t.position FROM through t) AND ($4::text[] IS NULL OR e.type = ANY ($4::text[]))
	ORDER BY e.position
	LIMIT $3);
