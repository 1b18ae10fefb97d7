-- Fails if a table is not there. A role that may not create tables gets no further than this.
SELECT count(*) FROM leftfold_shard_leases l, leftfold_shard_checkpoints c WHERE l.consumer = '' AND c.consumer = ''
