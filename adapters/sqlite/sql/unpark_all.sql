-- Forgets what is parked of a generation. Uses the primary key.
DELETE FROM parked WHERE name = ?1 AND version = ?2;
