-- Whether a generation is applied by the appends of another store than one. Uses the primary key.
SELECT EXISTS (SELECT FROM leftfold.segments WHERE name = $1 AND version = $2 AND store_id <> $3 AND holder = 'inline');
