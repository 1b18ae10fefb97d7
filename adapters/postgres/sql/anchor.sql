-- The event at a position ($1), by the primary key.
SELECT e.event_id FROM leftfold.events e WHERE e.position = $1;
