-- How far every shard has been taken in: a few rows.
SELECT shard, sequence, ended, beat, seen FROM leftfold.kinesis_shards ORDER BY shard;
