-- Whether a generation follows other sources than one. Uses the primary key.
SELECT EXISTS (SELECT FROM leftfold.segments WHERE name = $1 AND version = $2 AND store_id <> $3);
