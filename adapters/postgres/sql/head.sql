-- The store's identity and the newest position, one seek at the end of the primary key.
SELECT s.id, s.incarnation, coalesce((SELECT max(e.position) FROM leftfold.events e), 0)
FROM leftfold.store s;
