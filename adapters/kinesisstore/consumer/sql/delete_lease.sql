DELETE FROM leftfold_shard_leases WHERE consumer = $1 AND shard = $2 AND counter = $3
