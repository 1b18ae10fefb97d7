-- Forgets a generation in one of the tables. Uses the primary key.
DELETE FROM leftfold.parked WHERE name = $1 AND version = $2;
