-- The newest version of a stream and its type, which tells a tombstone. One seek in
-- UNIQUE (stream_id, version), one in the primary key.
SELECT version, type
FROM events
WHERE stream_id = ?1
ORDER BY version DESC
LIMIT 1;
