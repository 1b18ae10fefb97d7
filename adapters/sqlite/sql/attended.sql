-- Whether a worker of a generation is there. Uses the primary key.
SELECT 1 FROM workers WHERE name = ?1 AND version = ?2 AND until > ?3 LIMIT 1;
