-- How many segments a generation has for other sources than one. Uses the primary key.
SELECT count(*) FROM segments WHERE name = ?1 AND version = ?2 AND store_id <> ?3;
