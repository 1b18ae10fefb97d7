-- Moves the checkpoint of a segment if it is where the move starts: no row means that somebody
-- else has moved it. Whoever else wants to waits for the end of the transaction. Uses the
-- primary key.
UPDATE leftfold.segments
SET incarnation = $6, position = $7, anchor_id = $8, fence = $9, parks = $10
WHERE name = $1 AND version = $2 AND store_id = $3 AND first_slice = $4 AND end_slice = $5
	AND incarnation = $11 AND position = $12 AND anchor_id = $13 AND fence = $14 AND parks = $15
RETURNING position
