-- Runs with the insert of its event.
INSERT INTO event_tags (tag, position)
VALUES (?1, ?2);
