-- A page of a stream ($1), oldest first, along UNIQUE (stream_key, version).
SELECT e.position, e.stream_id, e.version, e.event_id, e.type, e.schema_version, e.recorded_at, e.tags, e.metadata, e.data
FROM leftfold.events e
WHERE e.stream_key = $1 AND e.version > $2 AND e.version <= $3
ORDER BY e.version
LIMIT $4;
