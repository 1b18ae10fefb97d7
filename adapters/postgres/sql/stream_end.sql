-- The newest event of a stream ($1): its version, and its type, which tells a tombstone.
SELECT e.version, e.type
FROM leftfold.events e
WHERE e.stream_key = $1
ORDER BY e.version DESC
LIMIT 1;
