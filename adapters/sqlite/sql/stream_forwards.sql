-- A range of a stream, oldest first, along UNIQUE (stream_id, version). The reader
-- stops when its page is full, so there is no LIMIT.
SELECT position, stream_id, version, event_id, type, schema_version, recorded_at, tags, metadata, data
FROM events
WHERE stream_id = ?1 AND version > ?2 AND version <= ?3
ORDER BY version;
