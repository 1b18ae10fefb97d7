-- The position of the first command id that was recorded at a time ($1) or later; without one,
-- that behind the last. And the length of the table in blocks. Reads all of the table: ids are
-- remembered in no index but their own. No locks.
SELECT coalesce(min(c.position) FILTER (WHERE c.recorded_at >= $1), max(c.position) + 1, 0),
	pg_relation_size('leftfold.commands') / current_setting('block_size')::bigint
FROM leftfold.commands c;
