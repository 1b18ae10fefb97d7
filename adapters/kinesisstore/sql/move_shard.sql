-- Moves a checkpoint, if it is where it should be, and locks its row until the transaction ends: a
-- worker that has been taken over from waits here, and finds that it has moved. By the primary key.
UPDATE leftfold.kinesis_shards
SET sequence = $2, ended = $3, beat = $4, seen = $5
WHERE shard = $1 AND sequence = $6 AND ended = $7;
