-- Whether a worker of a generation is there. Uses the primary key.
SELECT 1::bigint FROM leftfold.workers WHERE name = $1 AND version = $2 AND until > clock_timestamp() LIMIT 1;
