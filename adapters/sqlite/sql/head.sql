-- The end of the log, the store's identity and what its appends must apply, from one
-- snapshot. max(position) is one step to the right edge of the primary key.
SELECT id, incarnation, inline_set, coalesce((SELECT max(position) FROM events), 0)
FROM store;
