-- The generations of a name ($1), as in builds.sql, and what is parked of one of them ($2), in no
-- order. A look at rows is this and the rows, see look.go: one statement, and so one moment. Uses the
-- primary keys.
SELECT s.first_slice, s.end_slice, s.incarnation, s.position, s.anchor_id, s.fence, s.parks, s.store_id, m.version, m.stage, m.unindexed,
	NULL::text AS type, NULL::text AS cause, NULL::timestamptz AS at, NULL::bigint AS nth, NULL::text AS key
FROM leftfold.read_models m
LEFT JOIN leftfold.segments s ON s.name = m.name AND s.version = m.version
WHERE m.name = $1
UNION ALL
SELECT NULL, NULL, NULL, p.position, p.event_id, NULL, NULL, p.store_id, NULL, NULL, NULL, p.type, p.cause, p.at, NULL, p.key
FROM leftfold.parked p
WHERE p.name = $1 AND p.version = $2;
