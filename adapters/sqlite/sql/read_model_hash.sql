-- The hash of a generation's definition. Uses the primary key.
SELECT hash FROM read_models WHERE name = ?1 AND version = ?2;
