-- The position of a tag's ($1) $4-th event in a range, along the primary key of event_tags:
-- the further away it is, the rarer the tag. No row: fewer than $4.
SELECT t.position
FROM leftfold.event_tags t
WHERE t.tag = $1 AND t.position > $2 AND t.position <= $3
ORDER BY t.position
LIMIT 1 OFFSET $4::bigint - 1;
