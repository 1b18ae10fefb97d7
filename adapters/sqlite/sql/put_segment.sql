-- Writes a segment with its checkpoint and its lease. Uses the primary key.
INSERT OR REPLACE INTO segments (name, version, store_id, first_slice, end_slice, incarnation, position, anchor_id, fence, parks, holder, held_until, report)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13);
