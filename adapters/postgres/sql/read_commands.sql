-- The next page of command ids (behind $1), of those whose receipts are at or before a position
-- ($2). Along the primary key; it walks over those that are later. The row without an id is the event
-- at that position: from the snapshot of the page it proves that the page is complete.
(SELECT c.command_id, c.hash, c.position, c.versions, c.recorded_at
	FROM leftfold.commands c
	WHERE c.command_id > $1 AND c.position <= $2
	ORDER BY c.command_id
	LIMIT 1000)
UNION ALL
SELECT NULL, e.event_id, NULL, NULL, NULL
FROM leftfold.events e
WHERE e.position = $2;
