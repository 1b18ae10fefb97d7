-- The snapshot of a stream by a fold, by the primary key.
SELECT incarnation, version, event_id, state FROM snapshots WHERE store_id = ?1 AND stream_id = ?2 AND shape = ?3;
