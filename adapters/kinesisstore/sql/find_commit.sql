-- The append of an id. By kinesis_commits_by_commit.
SELECT stream, last, position FROM leftfold.kinesis_commits WHERE commit_id = $1;
