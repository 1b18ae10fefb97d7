-- Runs under the write lock, so that the position and the version computed from the
-- end of the log and of the stream cannot be taken; the two keys would refuse a bug.
INSERT INTO events (position, stream_id, version, slice, event_id, type, schema_version, recorded_at, tags, metadata, data)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11);
