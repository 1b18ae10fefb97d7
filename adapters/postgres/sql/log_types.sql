-- A page of the events of some types ($4), along the primary key: there is no index on
-- type, and a row of another type is passed by before it is sent. The row without a stream is
-- the event at the end of the read ($2), as in log_all.sql.
(SELECT e.position, e.stream_id, e.version, e.event_id, e.type, e.schema_version, e.recorded_at, e.tags, e.metadata, e.data
	FROM leftfold.events e
	WHERE e.position > $1 AND e.position <= $2 AND e.type = ANY ($4::text[])
	ORDER BY e.position
	LIMIT $3)
UNION ALL
SELECT e.position, NULL, NULL, e.event_id, NULL, NULL, NULL, NULL, NULL, NULL
FROM leftfold.events e
WHERE e.position = $2;
