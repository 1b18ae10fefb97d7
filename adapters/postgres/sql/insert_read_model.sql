-- Registers a generation, unless it is registered or a later one is live. The first of a name is
-- live, and no index of it is left out. Of two programs that open it at once, the second waits
-- here until the table of the first is there.
INSERT INTO leftfold.read_models (name, version, hash, stage, unindexed)
SELECT $1, $2, $3, CASE WHEN count(*) = 0 THEN 'live' ELSE 'building' END, CASE WHEN count(*) = 0 THEN 0 ELSE $4::integer END
FROM leftfold.read_models WHERE name = $1 AND stage = 'live'
HAVING coalesce(max(version) <= $2, true)
ON CONFLICT DO NOTHING
RETURNING stage;
