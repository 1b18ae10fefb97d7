SELECT sequence, ended, seen FROM leftfold_shard_checkpoints WHERE consumer = $1 AND shard = $2
