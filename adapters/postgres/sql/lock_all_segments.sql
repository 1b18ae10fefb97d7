-- Locks the segments of all generations of a name, in one order everywhere. One that a split adds
-- meanwhile is not among them: see lockSegments in generations.go. Uses the primary key.
SELECT version, store_id, first_slice FROM leftfold.segments WHERE name = $1
ORDER BY version, store_id, first_slice FOR UPDATE;
