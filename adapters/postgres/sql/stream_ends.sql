-- The versions of streams ($1), each by one step along UNIQUE (stream_key, version); negative: deleted.
SELECT coalesce((
	SELECT CASE e.type WHEN '$stream.deleted' THEN -e.version ELSE e.version END
	FROM leftfold.events e WHERE e.stream_key = n.key ORDER BY e.version DESC LIMIT 1), 0)
FROM unnest($1::uuid[]) WITH ORDINALITY AS n(key, i)
ORDER BY n.i;
