-- A page of the log, along the primary key. The row without a stream is the event at the end
-- of the read ($2): from the snapshot of the page it proves that the page is complete.
(SELECT e.position, e.stream_id, e.version, e.event_id, e.type, e.schema_version, e.recorded_at, e.tags, e.metadata, e.data
	FROM leftfold.events e
	WHERE e.position > $1 AND e.position <= $2
	ORDER BY e.position
	LIMIT $3)
UNION ALL
SELECT e.position, NULL, NULL, e.event_id, NULL, NULL, NULL, NULL, NULL, NULL
FROM leftfold.events e
WHERE e.position = $2;
