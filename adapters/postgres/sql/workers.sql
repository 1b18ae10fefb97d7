-- The workers of a generation for one source. Uses the primary key.
SELECT worker, until FROM leftfold.workers WHERE name = $1 AND version = $2 AND store_id = $3;
