-- The first position in a range of the log of an event of some types (?3, a JSON
-- array), along the primary key. The caller keeps the range short.
SELECT position
FROM events
WHERE position > ?1 AND position <= ?2 AND type IN (SELECT value FROM json_each(?3))
ORDER BY position
LIMIT 1;
