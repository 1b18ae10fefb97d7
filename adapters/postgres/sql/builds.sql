-- The generations of a name, with the checkpoints of their segments: NULLs for one that follows no
-- source. Uses the primary keys.
SELECT s.first_slice, s.end_slice, s.incarnation, s.position, s.anchor_id, s.fence, s.parks, s.store_id, m.version, m.stage, m.unindexed
FROM leftfold.read_models m
LEFT JOIN leftfold.segments s ON s.name = m.name AND s.version = m.version
WHERE m.name = $1
ORDER BY m.version, s.store_id, s.first_slice;
