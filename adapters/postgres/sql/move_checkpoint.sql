-- Moves a checkpoint if it is where the move starts: no row means that somebody else has moved
-- it. Whoever else wants to waits for the end of the transaction. Uses the primary key.
UPDATE leftfold.checkpoints
SET incarnation = $4, position = $5, anchor_id = $6, fence = $7
WHERE name = $1 AND version = $2 AND store_id = $3
	AND incarnation = $8 AND position = $9 AND anchor_id = $10 AND fence = $11
RETURNING position
