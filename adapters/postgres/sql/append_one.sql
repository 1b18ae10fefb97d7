-- Appends one event at a known version, or returns NULL; see the function in migrations/. It
-- takes the lock of the store until the end of the transaction, and is for sessions that have
-- the settings of settings.sql.
SELECT leftfold.append_one($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);
