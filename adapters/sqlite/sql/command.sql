-- The receipt of a command, by the primary key.
SELECT hash, position, versions
FROM commands
WHERE command_id = ?1;
