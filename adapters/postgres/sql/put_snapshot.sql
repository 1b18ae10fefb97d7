-- Puts a snapshot in the place of the last one; locks its row. Uses the primary key.
INSERT INTO leftfold.snapshots (store_id, stream_id, shape, incarnation, version, event_id, state)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (store_id, stream_id, shape) DO UPDATE SET
	incarnation = excluded.incarnation, version = excluded.version, event_id = excluded.event_id, state = excluded.state, taken_at = now();
