-- Makes the store another one (?1), in a later incarnation (?2), and refuses appends: ?3 names no
-- projections. One row, under the write lock, while there is neither an event nor a command.
UPDATE store SET id = ?1, incarnation = ?2, inline_set = ?3
WHERE inline_set = 0 AND NOT EXISTS (SELECT 1 FROM events) AND NOT EXISTS (SELECT 1 FROM commands);
