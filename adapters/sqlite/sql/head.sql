-- The end of the log and the store's identity, from one snapshot. max(position) is one
-- step to the right edge of the primary key.
SELECT id, incarnation, coalesce((SELECT max(position) FROM events), 0)
FROM store;
