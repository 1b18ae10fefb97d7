-- Puts a checkpoint at position 0 of a source, unless there is one.
INSERT INTO leftfold.checkpoints (name, version, store_id, incarnation, position, anchor_id, fence)
VALUES ($1, $2, $3, $4, 0, '00000000-0000-0000-0000-000000000000', 0)
ON CONFLICT DO NOTHING;
