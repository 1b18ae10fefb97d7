-- The append of a command to a stream. By kinesis_commits_by_command.
SELECT stream, last, position, hash FROM leftfold.kinesis_commits WHERE command_id = $1 AND stream = $2;
