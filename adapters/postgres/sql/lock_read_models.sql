-- Locks the generations of a name, in one order everywhere, so that one at a time changes their
-- stages or their tables. Uses the primary key.
SELECT version FROM leftfold.read_models WHERE name = $1 ORDER BY version FOR UPDATE;
