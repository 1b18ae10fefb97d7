-- The generations of a name, with the checkpoints of their segments. Uses the primary keys.
SELECT m.version, m.stage, s.store_id, s.first_slice, s.end_slice, s.incarnation, s.position, s.anchor_id, s.fence, s.parks
FROM read_models m LEFT JOIN segments s ON s.name = m.name AND s.version = m.version
WHERE m.name = ?1 ORDER BY m.version, s.store_id, s.first_slice;
