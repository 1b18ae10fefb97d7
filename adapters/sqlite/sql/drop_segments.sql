-- Forgets the segments of a generation. Uses the primary key.
DELETE FROM segments WHERE name = ?1 AND version = ?2;
