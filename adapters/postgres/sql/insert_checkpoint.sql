-- Puts one segment of all keys at position 0 of a source, unless there are segments: one of them
-- begins with the first slice.
INSERT INTO leftfold.segments (name, version, store_id, first_slice, end_slice, incarnation, position, anchor_id, fence, parks, holder, report)
VALUES ($1, $2, $3, 0, 1024, $4, 0, '00000000-0000-0000-0000-000000000000', 0, 0, '', '')
ON CONFLICT DO NOTHING;
