-- The position of a tag's ?4-th event in a range, along the primary key of event_tags:
-- the further away it is, the rarer the tag. No row: fewer than ?4.
SELECT position
FROM event_tags
WHERE tag = ?1 AND position > ?2 AND position <= ?3
ORDER BY position
LIMIT 1 OFFSET ?4 - 1;
