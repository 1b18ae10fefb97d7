-- What is remembered of some commands ($1), by the primary key.
SELECT c.command_id, c.hash, c.position, c.versions, c.recorded_at
FROM leftfold.commands c
WHERE c.command_id = ANY ($1::uuid[]);
