-- The same, and nobody else changes them until the end of the transaction. They are locked in
-- one order everywhere. One that a split adds meanwhile is not among them: see lock in lease.go. Uses the
-- primary key.
SELECT first_slice, end_slice, incarnation, position, anchor_id, fence, parks, holder, held_until, report
FROM leftfold.segments WHERE name = $1 AND version = $2 AND store_id = $3 ORDER BY first_slice FOR UPDATE;
