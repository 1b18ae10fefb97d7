-- Says by which rules a generation is made. Uses the primary key.
UPDATE read_models SET hash = ?3 WHERE name = ?1 AND version = ?2;
