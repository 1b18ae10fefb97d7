-- Writes a segment with its checkpoint and its lease. Uses the primary key.
INSERT INTO leftfold.segments AS s (name, version, store_id, first_slice, end_slice, incarnation, position, anchor_id, fence, parks, holder, held_until, report)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
ON CONFLICT (name, version, store_id, first_slice) DO UPDATE SET
	end_slice = excluded.end_slice, incarnation = excluded.incarnation, position = excluded.position, anchor_id = excluded.anchor_id,
	fence = excluded.fence, parks = excluded.parks, holder = excluded.holder, held_until = excluded.held_until, report = excluded.report;
