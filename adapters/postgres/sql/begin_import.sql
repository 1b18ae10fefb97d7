-- Makes an empty store another one ($1), in a later incarnation ($2), and refuses appends: -1 names no
-- projections. Runs under the lock of the store. Whoever had the store open takes it for the one
-- that it was, so its appends are given up for good, as those of earlier sessions are: the fence of
-- writer 0 is for every session that began before. In one statement; it changes one row or none.
WITH begun AS (
	UPDATE leftfold.store s
	SET id = $1::uuid, incarnation = $2::integer, inline_set = -1, fences = s.fences + 1 + (random() * 1000000)::integer
	WHERE s.inline_set = 0 AND NOT EXISTS (SELECT FROM leftfold.events) AND NOT EXISTS (SELECT FROM leftfold.commands)
	RETURNING s.fences
)
INSERT INTO leftfold.fences AS f (writer, session, at)
SELECT '00000000-0000-0000-0000-000000000000', b.fences, 'infinity' FROM begun b
ON CONFLICT (writer) DO UPDATE SET session = excluded.session
RETURNING f.session;
