-- What an import must know under the lock of the store. One row.
SELECT s.id, s.incarnation, coalesce((SELECT max(e.position) FROM leftfold.events e), 0), s.inline_set
FROM leftfold.store s;
