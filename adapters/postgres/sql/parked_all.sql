-- What is parked of a generation for all its sources, by source and key. Uses the primary key.
SELECT key, position, event_id, type, cause, at, store_id FROM leftfold.parked WHERE name = $1 AND version = $2 ORDER BY store_id, key;
