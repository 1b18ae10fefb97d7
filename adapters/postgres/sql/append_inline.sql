-- Is append.sql, and also returns the recorded_at of the batch: for those who apply projections
-- in its transaction.
SELECT incarnation, fences, waited, head, versions, skipped, repeated, refused, now
FROM leftfold.append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31);
