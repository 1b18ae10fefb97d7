-- Which append took a version. By the primary key.
SELECT commit_id, last, position FROM leftfold.kinesis_commits WHERE stream = $1 AND version = $2;
