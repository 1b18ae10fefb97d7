-- Moves the checkpoint of a projection that appends apply, if it is at the head before the
-- batch: no row changed means that the read model lacks events. Uses the primary key.
UPDATE segments SET incarnation = ?4, position = ?5, anchor_id = ?6
WHERE name = ?1 AND version = ?2 AND store_id = ?3 AND first_slice = 0 AND holder = 'inline' AND position = ?7;
