-- Appends a batch; see the function in migrations/. It takes the lock of the store until the
-- end of the transaction, and is for sessions that have the settings of settings.sql.
SELECT incarnation, fences, waited, head, versions, skipped, repeated, refused
FROM leftfold.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31);
