-- Forgets a worker. Uses the primary key.
DELETE FROM leftfold.workers WHERE name = $1 AND version = $2 AND store_id = $3 AND worker = $4;
