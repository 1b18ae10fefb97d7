-- A page of the log, along the primary key.
SELECT e.position, e.stream_id, e.version, e.event_id, e.type, e.schema_version, e.recorded_at, e.tags, e.metadata, e.data
FROM leftfold.events e
WHERE e.position > $1 AND e.position <= $2
ORDER BY e.position
LIMIT $3;
