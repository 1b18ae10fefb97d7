-- Forgets command ids of a run of blocks; see the function in migrations/. It locks the rows that
-- it removes, and not the store.
SELECT leftfold.prune_commands($1, $2, $3, $4);
