-- The position of the first command id that was recorded at a time (?1) or later; without one,
-- that behind the last. Reads all of the table: ids are remembered in no index but their own.
SELECT coalesce(min(position) FILTER (WHERE recorded_at >= ?1), max(position) + 1, 0)
FROM commands;
