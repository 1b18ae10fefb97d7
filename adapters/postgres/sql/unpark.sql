-- Takes a key up again. Uses the primary key.
DELETE FROM leftfold.parked WHERE name = $1 AND version = $2 AND store_id = $3 AND key = $4;
