-- The end of the next page of command ids (behind ?1), and how many of them may be forgotten:
-- those before a position (?2) that were recorded before a time (?3). By the primary key.
SELECT max(command_id), coalesce(sum(position < ?2 AND recorded_at < ?3), 0)
FROM (SELECT command_id, position, recorded_at FROM commands WHERE command_id > ?1 ORDER BY command_id LIMIT 1000);
