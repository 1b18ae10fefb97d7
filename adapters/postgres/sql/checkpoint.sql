-- The hash of a generation and the lowest of its checkpoints for one source: NULLs if it follows
-- others only, no row if it was never opened. Uses the primary keys.
SELECT s.first_slice, s.end_slice, s.incarnation, s.position, s.anchor_id, s.fence, s.parks, m.hash
FROM leftfold.read_models m
LEFT JOIN leftfold.segments s ON s.name = m.name AND s.version = m.version AND s.store_id = $3
WHERE m.name = $1 AND m.version = $2
ORDER BY s.position, s.first_slice LIMIT 1;
