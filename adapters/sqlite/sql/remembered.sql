-- What is remembered of a command, by the primary key.
SELECT hash, position, versions, recorded_at
FROM commands
WHERE command_id = ?1;
