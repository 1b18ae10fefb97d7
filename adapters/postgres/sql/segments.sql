-- The segments of a generation for one source, in order. Uses the primary key.
SELECT first_slice, end_slice, incarnation, position, anchor_id, fence, parks, holder, held_until, report
FROM leftfold.segments WHERE name = $1 AND version = $2 AND store_id = $3 ORDER BY first_slice;
