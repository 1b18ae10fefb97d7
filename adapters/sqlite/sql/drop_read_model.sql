-- Forgets a generation. Uses the primary key.
DELETE FROM read_models WHERE name = ?1 AND version = ?2;
