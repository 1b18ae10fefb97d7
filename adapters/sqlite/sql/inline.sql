-- The projections that appends apply, and the hashes of their definitions. Walks the segments,
-- which are few.
SELECT s.name, s.version, m.hash
FROM segments AS s
JOIN read_models AS m ON m.name = s.name AND m.version = s.version
WHERE s.holder = 'inline';
