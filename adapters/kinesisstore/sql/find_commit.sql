-- The append of an id to a stream. By kinesis_commits_by_commit.
SELECT stream, last, position FROM leftfold.kinesis_commits WHERE commit_id = $1 AND stream = $2;
