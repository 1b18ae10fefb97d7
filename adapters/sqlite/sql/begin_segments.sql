-- Puts one segment of all keys at position 0 of a source, unless there are segments. Uses the
-- primary key.
INSERT INTO segments (name, version, store_id, first_slice, end_slice, incarnation, position, anchor_id, fence, parks, holder, held_until, report)
SELECT ?1, ?2, ?3, 0, ?5, ?4, 0, zeroblob(16), 0, 0, '', 0, ''
WHERE NOT EXISTS (SELECT 1 FROM segments WHERE name = ?1 AND version = ?2 AND store_id = ?3);
