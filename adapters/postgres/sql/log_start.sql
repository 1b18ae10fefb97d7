-- What fixes a read of the log: the store's identity, the head, and the events that stand at
-- the position where the read begins ($1) and where it ends ($2; 0: at the head).
WITH head AS (SELECT coalesce(max(e.position), 0) AS position FROM leftfold.events e),
through AS (SELECT CASE WHEN $2::bigint = 0 OR $2::bigint > h.position THEN h.position ELSE $2::bigint END AS position FROM head h)
SELECT s.id, s.incarnation, h.position, t.position,
	(SELECT e.event_id FROM leftfold.events e WHERE e.position = $1::bigint),
	(SELECT e.event_id FROM leftfold.events e WHERE e.position = t.position)
FROM leftfold.store s, head h, through t;
