-- The hash of a generation and its checkpoint for one source: NULLs if it follows others only,
-- no row if it was never opened. Uses the primary keys.
SELECT m.hash, c.incarnation, c.position, c.anchor_id, c.fence
FROM leftfold.read_models m
LEFT JOIN leftfold.checkpoints c ON c.name = m.name AND c.version = m.version AND c.store_id = $3
WHERE m.name = $1 AND m.version = $2;
