-- The first append of a command, to any stream. By kinesis_commits_by_command: a command has few.
SELECT stream, last, position, hash FROM leftfold.kinesis_commits WHERE command_id = $1 ORDER BY position LIMIT 1;
