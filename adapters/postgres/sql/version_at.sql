-- The version of a stream ($1) when the log ended at a position ($2), backwards along
-- UNIQUE (stream_key, version).
SELECT e.version
FROM leftfold.events e
WHERE e.stream_key = $1 AND e.position <= $2
ORDER BY e.version DESC
LIMIT 1;
