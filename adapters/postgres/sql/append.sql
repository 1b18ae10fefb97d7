-- Appends a batch; see the function in migrations/. It takes the lock of the store until the
-- end of the transaction.
SELECT incarnation, head, versions, skipped, repeated, refused
FROM leftfold.append($1, $2, $3, $4, $5, $6, $7, $8);
