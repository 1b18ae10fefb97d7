-- As tagged.sql, for events of some types (?6, a JSON array). The type is looked up by
-- the primary key of events, last, because that is the dearest of the checks.
SELECT lead.position
FROM event_tags AS lead
WHERE lead.tag = ?1 AND lead.position > ?2 AND lead.position <= ?3
  AND NOT EXISTS (
	SELECT 1 FROM json_each(?5) AS other
	WHERE NOT EXISTS (SELECT 1 FROM event_tags AS t WHERE t.tag = other.value AND t.position = lead.position))
  AND (SELECT e.type FROM events AS e WHERE e.position = lead.position) IN (SELECT value FROM json_each(?6))
ORDER BY lead.position
LIMIT ?4;
