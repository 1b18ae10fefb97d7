-- Inserts events as they were recorded, under the lock of the store. Each unnest stands in the list of a
-- SELECT, as in leftfold.append.
INSERT INTO leftfold.events (position, version, recorded_at, event_id, stream_key, slice, schema_version, stream_id, type, tags, metadata, data)
SELECT unnest($1::bigint[]), unnest($2::bigint[]), unnest($3::timestamptz[]), unnest($4::uuid[]), unnest($5::uuid[]), unnest($6::smallint[]),
	unnest($7::smallint[]), unnest($8::text[]), unnest($9::text[]), unnest($10::text[]), unnest($11::bytea[]), unnest($12::bytea[]);
