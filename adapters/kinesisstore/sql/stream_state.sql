-- The newest append to a stream. By the primary key, from its end.
SELECT last, deletes FROM leftfold.kinesis_commits WHERE stream = $1 ORDER BY version DESC LIMIT 1;
