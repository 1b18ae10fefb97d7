-- The first move of a checkpoint, or a later one that still stands before the first record.
INSERT INTO leftfold_shard_checkpoints (consumer, shard, sequence, ended, seen) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (consumer, shard) DO UPDATE SET sequence = excluded.sequence, ended = excluded.ended, seen = excluded.seen
WHERE leftfold_shard_checkpoints.sequence = '' AND NOT leftfold_shard_checkpoints.ended
