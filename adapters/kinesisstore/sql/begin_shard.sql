-- The first checkpoint of a shard. It locks the row until the transaction ends; where there is one
-- already, somebody else has begun.
INSERT INTO leftfold.kinesis_shards (shard, sequence, ended, beat, seen) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (shard) DO NOTHING;
