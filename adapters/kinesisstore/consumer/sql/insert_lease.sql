-- A new lease, unless it is there. $5 is its counter.
INSERT INTO leftfold_shard_leases (consumer, shard, owner, wanted, counter) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (consumer, shard) DO NOTHING
