-- What is parked of a generation for one source, by key. Uses the primary key.
SELECT key, position, event_id, type, cause, at FROM leftfold.parked WHERE name = $1 AND version = $2 AND store_id = $3 ORDER BY key;
