-- Puts a checkpoint at position 0 of a source, unless there is one. Uses the primary key.
INSERT INTO checkpoints (name, version, store_id, incarnation, position, anchor_id, fence)
VALUES (?1, ?2, ?3, ?4, 0, zeroblob(16), 0)
ON CONFLICT DO NOTHING;
