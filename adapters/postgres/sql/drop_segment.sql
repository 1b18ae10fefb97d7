-- Removes a segment that was merged. Uses the primary key.
DELETE FROM leftfold.segments WHERE name = $1 AND version = $2 AND store_id = $3 AND first_slice = $4;
