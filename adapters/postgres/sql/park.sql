-- Parks a key. Uses the primary key.
INSERT INTO leftfold.parked (name, version, store_id, key, position, event_id, type, cause, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (name, version, store_id, key) DO UPDATE SET
	position = excluded.position, event_id = excluded.event_id, type = excluded.type, cause = excluded.cause, at = excluded.at;
