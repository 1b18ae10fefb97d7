-- Locks the row of the shard until the end of the transaction; whoever waits for it finds another sequence.
UPDATE leftfold_shard_checkpoints SET sequence = $3, ended = $4, seen = $5
WHERE consumer = $1 AND shard = $2 AND sequence = $6 AND ended = $7
