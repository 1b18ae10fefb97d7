-- Forgets the workers of a generation. Uses the primary key.
DELETE FROM workers WHERE name = ?1 AND version = ?2;
