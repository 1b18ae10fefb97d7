-- Notes until when a worker is there. Uses the primary key.
INSERT OR REPLACE INTO workers (name, version, store_id, worker, until) VALUES (?1, ?2, ?3, ?4, ?5);
