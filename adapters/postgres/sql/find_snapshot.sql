-- The snapshot of a stream by a fold, by the primary key. Takes no lock.
SELECT incarnation, version, event_id, state FROM leftfold.snapshots WHERE store_id = $1 AND stream_id = $2 AND shape = $3;
