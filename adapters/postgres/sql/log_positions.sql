-- The events at some positions ($1), by the primary key, one seek each. OFFSET 0 keeps it
-- so: for a page of positions the planner would rather walk the whole log and hash it. The row
-- without a stream is the event at the end of the read ($2), as in log_all.sql.
(SELECT e.position, e.stream_id, e.version, e.event_id, e.type, e.schema_version, e.recorded_at, e.tags, e.metadata, e.data
	FROM unnest($1::bigint[]) AS p(position)
	CROSS JOIN LATERAL (SELECT * FROM leftfold.events AS at WHERE at.position = p.position OFFSET 0) AS e
	ORDER BY e.position)
UNION ALL
SELECT e.position, NULL, NULL, e.event_id, NULL, NULL, NULL, NULL, NULL, NULL
FROM leftfold.events e
WHERE e.position = $2;
