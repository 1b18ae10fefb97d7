-- The events at some positions ($1), by the primary key.
SELECT e.position, e.stream_id, e.version, e.event_id, e.type, e.schema_version, e.recorded_at, e.tags, e.metadata, e.data
FROM unnest($1::bigint[]) AS p(position)
JOIN leftfold.events e ON e.position = p.position
ORDER BY e.position;
