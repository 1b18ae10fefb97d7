SELECT shard, owner, wanted, counter FROM leftfold_shard_leases WHERE consumer = $1
