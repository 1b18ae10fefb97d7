-- What an import must know under the lock of the store. One row.
SELECT s.id, s.inline_set, coalesce((SELECT max(e.position) FROM leftfold.events e), 0)
FROM leftfold.store s;
