-- Says how many indexes of a generation are still to be made. Uses the primary key.
UPDATE leftfold.read_models SET unindexed = $3 WHERE name = $1 AND version = $2;
