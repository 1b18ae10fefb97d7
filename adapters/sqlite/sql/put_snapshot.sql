-- Puts a snapshot in the place of the last one. Uses the primary key.
INSERT OR REPLACE INTO snapshots (store_id, stream_id, shape, incarnation, version, event_id, taken_at, state)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);
