-- The events at some positions (?1, a JSON array), each by the primary key. SQLite puts
-- the list in order first, so the result needs no sorting.
SELECT position, stream_id, version, event_id, type, schema_version, recorded_at, tags, metadata, data
FROM events
WHERE position IN (SELECT value FROM json_each(?1))
ORDER BY position;
