-- The first ?4 positions with ?2 < position <= ?3 of events that carry the tag ?1 and
-- all of the tags in ?5 (a JSON array). Runs along the primary key of event_tags for
-- ?1 and probes it for each of the others, so ?1 should be the rarest; see tagged.go.
SELECT lead.position
FROM event_tags AS lead
WHERE lead.tag = ?1 AND lead.position > ?2 AND lead.position <= ?3
  AND NOT EXISTS (
	SELECT 1 FROM json_each(?5) AS other
	WHERE NOT EXISTS (SELECT 1 FROM event_tags AS t WHERE t.tag = other.value AND t.position = lead.position))
ORDER BY lead.position
LIMIT ?4;
