-- Keeps what is needed of an accepted record.
INSERT INTO leftfold.kinesis_commits (stream, version, last, position, deletes, commit_id, command_id, hash)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8);
