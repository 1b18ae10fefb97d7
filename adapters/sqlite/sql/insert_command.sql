-- Runs with the inserts of the command's events. The primary key would refuse a second
-- append under the id even if the lookup were wrong.
INSERT INTO commands (command_id, hash, position, versions, recorded_at)
VALUES (?1, ?2, ?3, ?4, ?5);
