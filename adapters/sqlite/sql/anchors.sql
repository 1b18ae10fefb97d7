-- The events at two positions, by the primary key.
SELECT position, event_id
FROM events
WHERE position IN (?1, ?2);
