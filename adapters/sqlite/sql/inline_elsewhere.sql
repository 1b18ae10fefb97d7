-- How many segments of a generation the appends of another store than one apply. Uses the primary key.
SELECT count(*) FROM segments WHERE name = ?1 AND version = ?2 AND store_id <> ?3 AND holder = 'inline';
