-- The first $4 positions with $2 < position <= $3 of events that carry the tag $1 and all
-- of the tags in $5, and are of one of the types in $6 (NULL: any). Runs along the primary
-- key of event_tags for $1 and probes it for each of the others, so $1 should be the
-- rarest; see tagged.go. The type is looked up last, because that is the dearest check.
-- The row with an id is the event at the end of the read ($3), as in log_all.sql.
(SELECT lead.position, NULL::uuid
	FROM leftfold.event_tags AS lead
	WHERE lead.tag = $1 AND lead.position > $2 AND lead.position <= $3
		AND NOT EXISTS (
			SELECT FROM unnest($5::text[]) AS other(tag)
			WHERE NOT EXISTS (SELECT FROM leftfold.event_tags AS t WHERE t.tag = other.tag AND t.position = lead.position))
		AND ($6::text[] IS NULL OR (SELECT e.type FROM leftfold.events AS e WHERE e.position = lead.position) = ANY ($6::text[]))
	ORDER BY lead.position
	LIMIT $4)
UNION ALL
SELECT e.position, e.event_id
FROM leftfold.events AS e
WHERE e.position = $3;
