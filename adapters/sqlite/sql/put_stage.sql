-- Says where a generation is in its life. Uses the primary key.
UPDATE read_models SET stage = ?3 WHERE name = ?1 AND version = ?2;
