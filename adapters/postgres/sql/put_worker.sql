-- Notes until when a worker is there. Uses the primary key.
INSERT INTO leftfold.workers (name, version, store_id, worker, until) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name, version, store_id, worker) DO UPDATE SET until = excluded.until;
