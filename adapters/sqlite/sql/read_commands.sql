-- The next page of command ids (behind ?1), of those whose receipts are at or before a position
-- (?2). By the primary key; it walks over those that are later.
SELECT command_id, hash, position, versions, recorded_at
FROM commands
WHERE command_id > ?1 AND position <= ?2
ORDER BY command_id
LIMIT 1000;
