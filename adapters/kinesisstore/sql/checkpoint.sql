-- How far a shard has been taken in. By the primary key.
SELECT sequence, ended, seen, beat FROM leftfold.kinesis_shards WHERE shard = $1;
