-- Forgets what may be forgotten of a page (behind ?1, through ?2), by the primary key. The time (?4)
-- keeps an append of no events that has come to the last position meanwhile.
DELETE FROM commands
WHERE command_id > ?1 AND command_id <= ?2 AND position < ?3 AND recorded_at < ?4;
