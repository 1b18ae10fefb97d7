-- Parks a key. Uses the primary key.
INSERT OR REPLACE INTO parked (name, version, store_id, key, position, event_id, type, cause, at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);
