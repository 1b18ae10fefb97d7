-- One checkpoint. Uses the primary key.
SELECT incarnation, position, anchor_id, fence FROM checkpoints WHERE name = ?1 AND version = ?2 AND store_id = ?3;
