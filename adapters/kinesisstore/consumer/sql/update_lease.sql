-- Locks the row of the lease; whoever waits for it finds another counter.
UPDATE leftfold_shard_leases SET owner = $3, wanted = $4, counter = $5
WHERE consumer = $1 AND shard = $2 AND counter = $5 - 1
