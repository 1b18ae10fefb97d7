-- The first receipt of a command, by the primary key, with the identity the store has now.
SELECT s.id, s.incarnation, c.hash, c.position, c.versions
FROM leftfold.store s, leftfold.commands c
WHERE c.command_id = $1;
