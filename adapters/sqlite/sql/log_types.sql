-- The events of some types (?3, a JSON array) in a range of the log, along the primary
-- key: there is no index on type, and a row of another type is passed by before its
-- blobs are touched. The reader stops when its page is full, so there is no LIMIT.
SELECT position, stream_id, version, event_id, type, schema_version, recorded_at, tags, metadata, data
FROM events
WHERE position > ?1 AND position <= ?2 AND type IN (SELECT value FROM json_each(?3))
ORDER BY position;
