-- A range of the log along the primary key. The reader stops when its page is full, so
-- there is no LIMIT.
SELECT position, stream_id, version, event_id, type, schema_version, recorded_at, tags, metadata, data
FROM events
WHERE position > ?1 AND position <= ?2
ORDER BY position;
